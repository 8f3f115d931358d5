"""Filling an empty instance with the demonstration, through its public API as people and programs would."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from deploy.demo_plan import ZONE, DemoPlan, Person, PlannedSession, PlannedStop, plan, synthetic_names
from libs.clock import zone

EVENTS = "/api/events/v1"
REGISTRATIONS = "/api/registrations/v1"
AT_ONCE = 6
"""Requests under way at a time: enough to keep two cores busy, few enough to leave room for visitors."""
PATIENCE = 30.0
"""Seconds until registrations must know a session that was published."""
_ALL_TIMES = {"from": "2000-01-01", "status": ["draft", "published", "held", "cancelled"]}

Result = TypeVar("Result")


class DemoFailed(Exception):
    """The demonstration could not be loaded; the text says at which step, for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was made, and `(label, address)` pairs worth opening."""

    stops: int
    sessions: int
    registrations: int
    links: tuple[tuple[str, str], ...]


async def load(base_url: str, admin_token: str, progress: Callable[[str], None]) -> Summary | None:
    """Load the demonstration into an instance without a session; None when there is one already."""
    async with httpx.AsyncClient(base_url=base_url, timeout=PATIENCE, trust_env=False) as client:
        loader = _Loader(client, admin_token)
        if await loader.has_sessions():
            return None
        today = datetime.now(zone(ZONE)).date()
        made = plan(today, synthetic_names())
        progress("Démonstration\u00a0: une tournée se prépare…")
        tour_id, sessions = await loader.publish(made)
        progress(
            f"Démonstration\u00a0: {len(made.stops)} étapes, {len(sessions)} séances. Les gens s’inscrivent…"
        )
        registered = await loader.fill(made, sessions)
        await loader.let_life_happen(made, sessions, registered)
        return Summary(
            stops=len(made.stops),
            sessions=len(sessions),
            registrations=sum(map(len, registered.values())),
            links=_links(base_url, tour_id, sessions, registered),
        )


class _Loader:
    """The calls of one loading. Each carries a key, so that one whose answer was lost is safely repeated."""

    def __init__(self, client: httpx.AsyncClient, admin_token: str) -> None:
        self._client = client
        self._staff = {"Authorization": f"Bearer {admin_token}"}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def has_sessions(self) -> bool:
        found = await self._call("GET", f"{EVENTS}/sessions", params={**_ALL_TIMES, "limit": 1}, staff=True)
        return bool(found["items"])

    async def publish(self, made: DemoPlan) -> tuple[str, dict[str, str]]:
        """The tour with its stops and sessions, published as one; its id, and the sessions' by their keys."""
        await _all(self._improve_venue(stop) for stop in made.stops)
        tour = await self._call("POST", f"{EVENTS}/tours", made.tour, staff=True)
        stop_ids = []
        for stop in made.stops:
            # One after the other: their order is the tour's.
            body = {"venue_id": stop.venue_id, "first_date": stop.on.isoformat()}
            answer = await self._call("POST", f"{EVENTS}/tours/{tour['id']}/stops", body, staff=True)
            stop_ids.append(answer["id"])

        async def draft(session: PlannedSession) -> tuple[str, str]:
            place = (
                {"stop_id": stop_ids[session.stop]} if session.stop is not None else {"tour_id": tour["id"]}
            )
            answer = await self._call("POST", f"{EVENTS}/sessions", {**place, **session.fields}, staff=True)
            return session.key, answer["id"]

        sessions = dict(await _all(draft(session) for session in made.sessions))
        await self._call("POST", f"{EVENTS}/tours/{tour['id']}/publish", {}, staff=True)
        return tour["id"], sessions

    async def fill(self, made: DemoPlan, sessions: Mapping[str, str]) -> dict[str, list[Any]]:
        """Everybody registers; within a session in the plan's order, which decides who waits."""

        async def one(session: PlannedSession) -> tuple[str, list[Any]]:
            return session.key, [await self._register(sessions[session.key], who) for who in session.people]

        # Alone at first: many asking at once would only slow down what they wait for.
        first, *others = [session for session in made.sessions if session.people]
        begun = [await one(first)]
        return dict(begun + await _all(one(session) for session in others))

    async def let_life_happen(
        self, made: DemoPlan, sessions: Mapping[str, str], registered: Mapping[str, list[Any]]
    ) -> None:
        """Somebody can no longer come, a session moves, another is cancelled."""
        for session in made.sessions:
            path = f"{EVENTS}/sessions/{sessions[session.key]}"
            if session.then == "someone_cancels":
                first = registered[session.key][0]
                own = f"{REGISTRATIONS}/registrations/{first['id']}"
                await self._call("DELETE", own, token=first["manage_token"])
            elif session.then == "moved":
                await self._call("POST", f"{path}/reschedule", session.change, staff=True)
            elif session.then == "cancelled":
                await self._call("POST", f"{path}/cancel", session.change, staff=True)

    async def _improve_venue(self, stop: PlannedStop) -> None:
        path = f"{EVENTS}/venues/{stop.venue_id}"
        venue = await self._call("GET", path, staff=True)
        await self._call("PATCH", path, stop.facts, staff=True, if_match=f'"{venue["version"]}"')

    async def _register(self, session_id: str, person: Person) -> Any:
        """Register somebody, waiting until registrations has heard of a session that was just published."""
        path = f"{REGISTRATIONS}/sessions/{session_id}/registrations"
        give_up = asyncio.get_running_loop().time() + PATIENCE
        while True:
            headers = self._staff if person.by_staff else None
            answer = await self._send("POST", path, json=person.body, headers=headers)
            if answer.is_success:
                return answer.json()
            if not _is_too_early(answer) or asyncio.get_running_loop().time() > give_up:
                raise DemoFailed(f"Une inscription a été refusée, {path}\u00a0: {_said(answer)}")
            await asyncio.sleep(0.2)

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        staff: bool = False,
        token: str | None = None,
        if_match: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        headers = dict(self._staff) if staff else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if if_match is not None:
            headers["If-Match"] = if_match
        answer = await self._send(method, path, json=body, headers=headers, params=params)
        if not answer.is_success:
            raise DemoFailed(f"La démonstration s’est arrêtée à {method} {path}\u00a0: {_said(answer)}")
        return answer.json()

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One call; repeated while the instance is busy (503) or cut the connection."""
        give_up = asyncio.get_running_loop().time() + PATIENCE
        headers = {**(request.pop("headers", None) or {}), "Idempotency-Key": str(uuid4())}
        while True:
            problem: httpx.HTTPError | None = None
            async with self._slots:
                try:
                    answer = await self._client.request(method, path, headers=headers, **request)
                except httpx.TransportError as error:
                    problem = error
            if problem is None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            if asyncio.get_running_loop().time() > give_up:
                why = str(problem) if problem else _said(answer)
                raise DemoFailed(
                    f"La démonstration s’est arrêtée à {method} {path}\u00a0: {why}"
                ) from problem
            await asyncio.sleep(0.2)


async def _all(calls: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results of calls made side by side; the first failure ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except* DemoFailed as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _is_too_early(answer: httpx.Response) -> bool:
    """Unknown, or online and still without its room link: both arrive by themselves."""
    return answer.status_code == 404 or (answer.status_code == 409 and "not-open-yet" in answer.text)


def _said(answer: httpx.Response) -> str:
    """What a refused call answered, in one line."""
    return f"{answer.status_code} {answer.text[:500]}"


def _links(
    base_url: str, tour_id: str, sessions: Mapping[str, str], registered: Mapping[str, list[Any]]
) -> tuple[tuple[str, str], ...]:
    def page(key: str) -> str:
        return f"{base_url}/seances/{sessions[key]}"

    confirmed = registered["offer"][1]["manage_url"]
    offered = next(item for item in registered["offer"] if item["status"] == "waitlisted")["manage_url"]
    return (
        ("La tournée", f"{base_url}/tournees/{tour_id}"),
        ("Un atelier complet", page("full")),
        ("Une place en ligne ou sur place", page("hybrid")),
        ("Une séance déplacée", page("moved")),
        ("Une séance annulée", page("cancelled")),
        ("La page d’une personne inscrite", confirmed),
        ("Une place offerte, à prendre", offered),
    )
