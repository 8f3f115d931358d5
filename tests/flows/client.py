"""One process of a crowd: registers people at the same time, each trying again until an answer comes."""

import asyncio
import sys

import httpx
import orjson


async def main(base_url: str, session_id: str, first: int, count: int) -> None:
    async with httpx.AsyncClient(base_url=base_url, timeout=30) as client:
        answers = await asyncio.gather(
            *(register(client, session_id, number) for number in range(first, first + count))
        )
    sys.stdout.buffer.write(orjson.dumps(answers))


async def register(client: httpx.AsyncClient, session_id: str, number: int) -> dict[str, object]:
    """As a browser or a script would: the same key again when the connection broke or the answer was 503."""
    body = {
        "channel": "web",
        "name": f"Personne {number}",
        "contact": {"email": f"personne{number}@example.org"},
    }
    while True:
        try:
            answer = await client.post(
                f"/api/registrations/v1/sessions/{session_id}/registrations",
                json=body,
                headers={"Idempotency-Key": f"person {number}"},
            )
        except httpx.TransportError:
            await asyncio.sleep(0.1)
            continue
        if answer.status_code == 503:
            await asyncio.sleep(0.1)
            continue
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
