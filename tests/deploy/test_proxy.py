"""What the proxy says when no replica answers, and what it keeps to itself."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deploy import proxy
from deploy.hosting import SERVICES
from deploy.postgres import free_port
from tests.deploy.process import ROOT
from tests.waiting import eventually


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Path]]:
    """The proxy without anybody behind it, and its log."""
    install = ["bash", "deploy/install.sh", "proxy"]
    await asyncio.to_thread(subprocess.run, install, check=True, cwd=ROOT)
    port, nobody, log = free_port(), free_port(), tmp_path / "proxy.log"
    upstreams = {name: [f"127.0.0.1:{nobody}"] for name in (*SERVICES, "operations")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *proxy.command(),
            env=proxy.environment("127.0.0.1", port, upstreams, tmp_path),
            stdout=output,
            stderr=output,
        )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

        async def answers() -> bool:
            try:
                await client.get("/health")
            except httpx.TransportError:
                return False
            return True

        await eventually(answers)
        yield client, log
    process.terminate()
    assert await process.wait() == 0


async def test_people_and_machines_are_told_to_come_back(alone: tuple[httpx.AsyncClient, Path]) -> None:
    client, log = alone
    secret = "a-key-that-only-its-person-has"
    page, problem = await asyncio.gather(
        client.get(
            f"/mon-inscription/{secret}",
            headers={"Accept": "text/html", "Referer": f"{client.base_url}/connexion/{secret}"},
        ),
        client.post(
            "/api/registrations/v1/sessions/1/registrations", json={}, headers={"Accept": "application/json"}
        ),
    )
    assert (page.status_code, problem.status_code) == (503, 503)
    assert page.headers["retry-after"] == problem.headers["retry-after"] == "2"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<html lang="fr">' in page.text
    assert '<p lang="en">' in page.text
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == 503
    said = log.read_text()
    assert "error" in said
    assert secret not in said
