"""Filling an empty instance with the demonstration, through its public API as people and programs would."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy.demo_plan import ZONE, DemoPlan, Person, PlannedSession, PlannedStop, plan, synthetic_names
from deploy.demo_run import Run, read_run, write_run
from libs.clock import zone
from libs.web.formats import time_of_day

EVENTS = "/api/events/v1"
REGISTRATIONS = "/api/registrations/v1"
AT_ONCE = 6
"""Requests under way at a time: enough to keep two cores busy, few enough to leave room for visitors."""
PATIENCE = 30.0
"""Seconds until registrations must know what was published or moved."""
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


async def load(
    base_url: str, admin_token: str, folder: Path, progress: Callable[[str], None]
) -> Summary | None:
    """Load the demonstration into an instance without a session; None when there is one already.

    How far it came is kept in `folder`, the instance's DATA_DIR: what was interrupted goes on from there.
    """
    async with httpx.AsyncClient(base_url=base_url, timeout=PATIENCE, trust_env=False) as client:
        run = await _run_to_make(_Loader(client, admin_token, None), read_run(folder), progress)
        if run is None:
            return None
        write_run(folder, run)
        loader = _Loader(client, admin_token, run)
        made = plan(run.began.astimezone(zone(ZONE)), synthetic_names())
        progress("Démonstration\u00a0: une tournée se prépare…")
        tour_id = await loader.create_tour(made)
        run = replace(run, tour=tour_id)
        write_run(folder, run)
        sessions = await loader.publish(made, tour_id)
        progress(
            f"Démonstration\u00a0: {len(made.stops)} étapes, {len(sessions)} séances. Les gens s’inscrivent…"
        )
        registered = await loader.fill(made, sessions)
        waits = await _all(loader.wait(person) for person in made.waits)
        await loader.let_life_happen(made, sessions, registered)
        write_run(folder, replace(run, is_done=True))
        return Summary(
            stops=len(made.stops),
            sessions=len(sessions),
            registrations=sum(map(len, registered.values())),
            links=_links(base_url, made, tour_id, sessions, registered, waits),
        )


async def _run_to_make(loader: "_Loader", last: Run | None, progress: Callable[[str], None]) -> Run | None:
    """A new loading, or the last one if it can go on; None where there is nothing to load."""
    now = datetime.now(UTC)
    goes_on = last is not None and last.can_go_on(now)
    if not await loader.has_sessions():
        return last if goes_on else Run.new(now)
    if last is None or last.is_done or not await loader.knows_tour(last.tour):
        return None
    if not goes_on:
        progress("La démonstration est restée incomplète. Pour la recommencer, choisissez un DATA_DIR vide.")
        return None
    return last


class _Loader:
    """The calls of one loading. Each carries a key, so that one whose answer was lost is safely repeated."""

    def __init__(self, client: httpx.AsyncClient, admin_token: str, run: Run | None) -> None:
        self._client = client
        self._run = run
        self._staff = {"Authorization": f"Bearer {admin_token}"}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def has_sessions(self) -> bool:
        found = await self._call("GET", f"{EVENTS}/sessions", params={**_ALL_TIMES, "limit": 1}, staff=True)
        return bool(found["items"])

    async def knows_tour(self, tour_id: str) -> bool:
        """Whether this instance has the tour that a loading began with."""
        if not tour_id:
            return False
        answer = await self._send("GET", f"{EVENTS}/tours/{tour_id}", headers=self._staff)
        return answer.is_success

    async def create_tour(self, made: DemoPlan) -> str:
        """The tour, still empty; its id."""
        return str((await self._call("POST", f"{EVENTS}/tours", made.tour, staff=True))["id"])

    async def publish(self, made: DemoPlan, tour_id: str) -> dict[str, str]:
        """The tour with its stops and sessions, published as one, and the sessions outside of it.

        The ids of the sessions by their keys.
        """
        alone, within = await _all((self._publish_alone(made), self._publish_tour(made, tour_id)))
        return within | alone

    async def _publish_tour(self, made: DemoPlan, tour_id: str) -> dict[str, str]:
        await _all(self._improve_venue(stop) for stop in made.stops)
        stop_ids = []
        for stop in made.stops:
            # One after the other: their order is the tour's.
            body = {"venue_id": stop.venue_id, "first_date": stop.on.isoformat()}
            answer = await self._call("POST", f"{EVENTS}/tours/{tour_id}/stops", body, staff=True)
            stop_ids.append(answer["id"])

        async def draft(session: PlannedSession) -> tuple[str, str]:
            place = {"stop_id": stop_ids[session.stop]} if session.stop is not None else {"tour_id": tour_id}
            answer = await self._call("POST", f"{EVENTS}/sessions", {**place, **session.fields}, staff=True)
            return session.key, answer["id"]

        sessions = dict(await _all(draft(session) for session in made.sessions if not session.is_alone))
        await self._call("POST", f"{EVENTS}/tours/{tour_id}/publish", {}, staff=True)
        return sessions

    async def _publish_alone(self, made: DemoPlan) -> dict[str, str]:
        """The sessions outside of the tour, but for a draw that is past: that can happen when going on."""
        found = await _all(self._publish_one(session) for session in made.sessions if session.is_alone)
        return {key: id_ for key, id_ in found if id_}

    async def _publish_one(self, session: PlannedSession) -> tuple[str, str]:
        drafted = await self._call("POST", f"{EVENTS}/sessions", session.fields, staff=True)
        path = f"{EVENTS}/sessions/{drafted['id']}"
        answer = await self._send("POST", f"{path}/publish", json={}, headers=self._staff)
        if not answer.is_success and "draw-past" not in answer.text:
            raise DemoFailed(f"La démonstration s’est arrêtée à POST {path}/publish\u00a0: {_said(answer)}")
        return session.key, drafted["id"] if answer.is_success else ""

    async def fill(self, made: DemoPlan, sessions: Mapping[str, str]) -> dict[str, list[Any]]:
        """Everybody registers; within a session in the plan's order, which decides who waits."""

        async def one(session: PlannedSession) -> tuple[str, list[Any]]:
            return session.key, [await self._register(sessions[session.key], who) for who in session.people]

        # Alone at first: many asking at once would only slow down what they wait for.
        first, *others = [one for one in made.sessions if one.people and one.key in sessions]
        begun = [await one(first)]
        return dict(begun + await _all(one(session) for session in others))

    async def let_life_happen(
        self, made: DemoPlan, sessions: Mapping[str, str], registered: Mapping[str, list[Any]]
    ) -> None:
        """Somebody can no longer come, a session moves, another is cancelled, others have taken place."""
        await _all(
            self._live(session, sessions[session.key], registered.get(session.key, ()))
            for session in made.sessions
            if session.then and session.key in sessions
        )

    async def _live(self, session: PlannedSession, session_id: str, people: Sequence[Any]) -> None:
        path = f"{EVENTS}/sessions/{session_id}"
        if session.then == "someone_cancels":
            own = f"{REGISTRATIONS}/registrations/{people[0]['id']}"
            await self._call("DELETE", own, token=people[0]["manage_token"])
        elif session.then == "cancelled":
            await self._call("POST", f"{path}/cancel", session.change, staff=True)
        else:
            await self._call("POST", f"{path}/reschedule", session.change, staff=True)
        if session.then == "held":
            await self._note_who_came(session, session_id, people)

    async def _note_who_came(self, session: PlannedSession, session_id: str, people: Sequence[Any]) -> None:
        """Attendance, once registrations has heard that the session has begun."""
        walk_ins = {"walk_ins": session.walk_ins}
        await self._insist("PUT", f"{REGISTRATIONS}/sessions/{session_id}/walk-ins", walk_ins, staff=True)
        for person, outcome in zip(people, session.outcomes, strict=True):
            path = f"{REGISTRATIONS}/registrations/{person['id']}/attendance"
            await self._insist("POST", path, {"outcome": outcome}, staff=True)

    async def wait(self, person: Person) -> Any:
        """Somebody waits for a seat at any of many sessions."""
        return await self._call("POST", f"{REGISTRATIONS}/waits", person.body, staff=person.by_staff)

    async def _improve_venue(self, stop: PlannedStop) -> None:
        path = f"{EVENTS}/venues/{stop.venue_id}"
        venue = await self._call("GET", path, staff=True)
        await self._call("PATCH", path, stop.facts, staff=True, if_match=f'"{venue["version"]}"')

    async def _register(self, session_id: str, person: Person) -> Any:
        """Register somebody, waiting until registrations has heard of a session that was just published."""
        path = f"{REGISTRATIONS}/sessions/{session_id}/registrations"
        return await self._insist("POST", path, person.body, staff=person.by_staff)

    async def _insist(self, method: str, path: str, body: Mapping[str, Any], *, staff: bool) -> Any:
        """A call that is refused until registrations has heard of what was just done elsewhere."""
        give_up = asyncio.get_running_loop().time() + PATIENCE
        while True:
            headers = self._staff if staff else None
            answer = await self._send(method, path, json=body, headers=headers)
            if answer.is_success:
                return answer.json()
            if not _is_too_early(answer) or asyncio.get_running_loop().time() > give_up:
                raise DemoFailed(f"La démonstration s’est arrêtée à {method} {path}\u00a0: {_said(answer)}")
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
        headers = dict(request.pop("headers", None) or {})
        if self._run is not None:
            headers["Idempotency-Key"] = self._run.key(method, path, request.get("json"))
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
    """Unknown, online and still without its room link, or not moved yet: all arrive by themselves."""
    too_early = answer.status_code == 409 and any(
        slug in answer.text for slug in ("not-open-yet", "not-begun")
    )
    return answer.status_code == 404 or too_early


def _said(answer: httpx.Response) -> str:
    """What a refused call answered, in one line."""
    return f"{answer.status_code} {answer.text[:500]}"


def _links(
    base_url: str,
    made: DemoPlan,
    tour_id: str,
    sessions: Mapping[str, str],
    registered: Mapping[str, list[Any]],
    waits: Sequence[Any],
) -> tuple[tuple[str, str], ...]:
    def page(key: str) -> str:
        return f"{base_url}/seances/{sessions[key]}"

    confirmed = registered["offer"][1]["manage_url"]
    offered = registered["offer"][made.capacity("offer")]["manage_url"]
    draws = [("Un tirage au sort à venir", f"{base_url}/tirage/{sessions['draw']}")]
    if "drawn" in sessions:
        label = f"Un tirage, résultat à {time_of_day(made.drawn_at, 'fr')}"
        draws.append((label, f"{base_url}/tirage/{sessions['drawn']}"))
    return (
        ("La tournée", f"{base_url}/tournees/{tour_id}"),
        ("Un atelier complet", page("full")),
        ("Une place en ligne ou sur place", page("hybrid")),
        ("Une séance déplacée", page("moved")),
        ("Une séance annulée", page("cancelled")),
        ("La page d’une personne inscrite", confirmed),
        ("Une place offerte, à prendre", offered),
        ("Un groupe de trois personnes", registered["party"][1]["manage_url"]),
        ("Une attente à plusieurs séances", waits[0]["manage_url"]),
        *draws,
    )
