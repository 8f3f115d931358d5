"""One process of the crowd, `python -m tests.chaos.clients FOLDER PROCESS LIFE`, until the end is called.

It reads `programme.json` in the folder, again whenever that changes, and writes `journal-PROCESS-LIFE.jsonl`
there. After a kill the next life takes up what the earlier ones asked and heard.
"""

import asyncio
import random
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tests.chaos.journal import Asked, Journal, Request, read
from tests.chaos.wire import Answer, Away, Lost, Wire

API = "/api/registrations/v1"
STAFF = "staff"
PROGRAMME = "programme.json"
THE_END = "the-end"
"""The file in the folder that asks every client to begin nothing new."""
ROLES = ("staff", "volunteer")
OVER = frozenset({"expired", "declined", "cancelled", "attended", "absent", "excused"})
MEANT_FOR = {"priority": "waitlisted", "move": "waitlisted", "grant": "waitlisted", "no-answer": "offered"}
"""Whom staff choose for an action, as far as they know."""


@dataclass(slots=True)
class Own:
    """A registration that a client made, and what it last heard of it."""

    id: str
    session: str
    token: str
    status: str


@dataclass(frozen=True, slots=True)
class Crowd:
    """What `programme.json` says."""

    seed: int
    ports: Sequence[int]
    admin_token: str
    clients: int
    """In this process."""
    cap: int
    """Live registrations that one client keeps; beyond it, it gives some up."""
    think: float
    """Seconds between two requests of a client, at most."""
    patience: float
    sessions: Sequence[dict[str, Any]]
    staff_actions: Sequence[str]


class Desk:
    """What the clients of one process share: the connections, the journal, who was registered."""

    def __init__(self, folder: Path, process: int, life: int) -> None:
        self._programme = folder / PROGRAMME
        self._read_at = 0.0
        self.hear_the_programme()
        crowd = self.crowd
        self.process, self.life = process, life
        self.random = random.Random(f"{crowd.seed} {process} {life}")
        self.wire = Wire(crowd.patience)
        self.journal = Journal(folder / f"journal-{process}-{life}.jsonl")
        self.stop = asyncio.Event()
        self.people: dict[str, Own] = {}
        self.recent: deque[Own] = deque(maxlen=1000)
        self.registers: deque[Request] = deque(maxlen=500)
        """Answered ones with a key: to be repeated."""
        self._numbers = count()

    def hear_the_programme(self) -> None:
        """Take in what is written there, if it is new."""
        written_at = self._programme.stat().st_mtime
        if written_at != self._read_at:
            self._read_at = written_at
            self.crowd = Crowd(**orjson.loads(self._programme.read_bytes()))
            self._weights = [session["weight"] for session in self.crowd.sessions]

    def choose_session(self, chosen: random.Random) -> dict[str, Any]:
        """Where somebody might want a seat."""
        (session,) = chosen.choices(self.crowd.sessions, self._weights)
        return session

    def request(self, kind: str, method: str, path: str, **facts: Any) -> Request:
        return Request(f"{self.process}-{self.life}.{next(self._numbers)}", kind, method, API + path, **facts)

    async def ask(self, request: Request) -> Answer:
        """Ask one of the processes, as a load balancer would choose; again until an answer comes."""
        if not request.sent:
            request.sent = time.monotonic()
        self.journal.intend(request)
        body = b"" if request.body is None else orjson.dumps(request.body)
        pause = 0.05
        while True:
            port = self.random.choice(self.crowd.ports)
            try:
                answer = await self.wire.request(
                    port, request.method, request.path, self._headers(request), body
                )
            except Away:
                # A load balancer would know, and ask the next one.
                await asyncio.sleep(0.01)
                continue
            except Lost as lost:
                self.journal.lost(request, str(lost))
            else:
                if answer.status != 503:
                    self.journal.answered(request, answer)
                    self._check(request, answer)
                    return answer
                self.journal.put_off(request)
                if "retry-after" not in answer.headers:
                    self.journal.wrong(request, "503 without Retry-After")
            await asyncio.sleep(pause * self.random.uniform(0.5, 1.5))
            pause = min(2 * pause, 0.5)

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept": "application/json"}
        if request.token is not None:
            token = self.crowd.admin_token if request.token == STAFF else request.token
            headers["authorization"] = f"Bearer {token}"
        if request.key is not None:
            headers["idempotency-key"] = request.key
        return headers

    def _check(self, request: Request, answer: Answer) -> None:
        """What an answer must fulfil by itself."""
        kind = answer.headers.get("content-type", "")
        if kind != ("application/problem+json" if answer.status >= 400 else "application/json"):
            self.journal.wrong(request, f"{answer.status} as {kind}: {answer.body!r:.200}")
        elif answer.status == 200 and request.kind == "seats":
            for fault in seat_faults(answer.body):
                self.journal.wrong(request, fault)
        elif answer.status == 200 and request.kind == "line":
            for kind in ("on_site", "online"):
                items = [entry for entry in answer.body["items"] if entry["seat_kind"] == kind]
                places = [entry["position"] for entry in items]
                if places != sorted(set(places)) or 0 in places:
                    self.journal.wrong(request, f"places {places[:20]}")

    def remember(self, asked: Asked) -> None:
        """Take in what an earlier life was answered."""
        if asked.request.kind.startswith("register") and asked.done:
            self.know(asked.answer["id"], str(asked.request.session), asked.answer)
        elif asked.request.registration in self.people and "status" in asked.answer:
            self.people[asked.request.registration].status = asked.answer["status"]

    def registered(self, request: Request, answer: Answer) -> Own | None:
        if answer.status not in {200, 201}:
            return None
        if request.key is not None:
            self.registers.append(request)
        return self.know(answer.body["id"], answer.body["session_id"], answer.body)

    def know(self, id_: str, session: str, body: dict[str, Any]) -> Own:
        token = body.get("manage_token") or body["manage_url"].rpartition("/")[2]
        if id_ not in self.people:
            self.people[id_] = Own(id_, session, token, body["status"])
            self.recent.append(self.people[id_])
        return self.people[id_]


def seat_faults(seats: dict[str, Any]) -> list[str]:
    """What can never be true of a session's public seats, whatever goes on (rules S1 and S2)."""
    found = []
    for kind, of_kind in {"total": seats, **seats["by_kind"]}.items():
        if of_kind["confirmed"] + of_kind["offered"] > of_kind["capacity"]:
            found.append(f"S1: {kind} oversold, {of_kind}")
        if min(of_kind[name] for name in of_kind if isinstance(of_kind[name], int)) < 0:
            found.append(f"S1: {kind} negative, {of_kind}")
        if kind != "total" and of_kind["waitlisted"] and of_kind["available"]:
            found.append(f"S2: {kind} has free seats while people wait, {of_kind}")
    return found


class Client:
    """One member of the crowd: a person who registers often, and now and then a member of the staff."""

    def __init__(self, desk: Desk, number: int) -> None:
        self._desk = desk
        self._number = number
        self._random = random.Random(f"{desk.crowd.seed} {desk.process} {desk.life} {number}")
        self._numbers = count()
        self._own: list[Own] = []
        steps: dict[Callable[[], Awaitable[None]], float] = {
            self.register: 34,
            self.double_click: 4,
            self.repeat: 5,
            self.other_body: 1,
            self.same_person_again: 2,
            self.look_after_own: 38,
            self.both_at_once: 2,
            self.look_at_seats: 4,
            self.look_at_line: 0.3,
            self.act_as_staff: 10,
        }
        self._steps, self._step_weights = list(steps), list(steps.values())

    async def live(self) -> None:
        """Do one thing after the other until the end."""
        while not self._desk.stop.is_set():
            (step,) = self._random.choices(self._steps, self._step_weights)
            if len(self._own) > self._desk.crowd.cap:
                step = self.look_after_own
            await step()
            await asyncio.sleep(self._random.uniform(0, self._desk.crowd.think))

    # Registering.

    async def register(self) -> None:
        request = self._new_request()
        self._keep(request, await self._desk.ask(request))

    async def double_click(self) -> None:
        """The same key and body, twice at the same time."""
        request = self._new_request(key=True)
        twin = self._copy(request)
        answers = await asyncio.gather(self._desk.ask(request), self._desk.ask(twin))
        self._keep(request, answers[0])
        self._desk.registered(twin, answers[1])

    async def repeat(self) -> None:
        """The same key and body, later."""
        if self._desk.registers:
            await self._desk.ask(self._copy(self._random.choice(self._desk.registers)))

    async def other_body(self) -> None:
        """A known key with another body, which must be refused."""
        if self._desk.registers:
            again = self._copy(self._random.choice(self._desk.registers), kind="register otherwise")
            again.body = (again.body or {}) | {"language": "en"}
            await self._desk.ask(again)

    async def same_person_again(self) -> None:
        """The same name and contact without the key: one registration, or a question."""
        if self._desk.registers:
            again = self._copy(self._random.choice(self._desk.registers), kind="register again")
            again.key = f"again {again.id}"
            self._keep(again, await self._desk.ask(again))

    def _new_request(self, *, key: bool | None = None) -> Request:
        session = self._desk.choose_session(self._random)
        channel = self._random.choices(["web", "phone", "desk"], [80, 12, 8])[0]
        number = f"{self._desk.process} {self._desk.life} {self._number} {next(self._numbers)}"
        contact = {"email": f"personne.{number.replace(' ', '.')}@example.org"}
        if self._random.random() < 0.2:
            contact = {"mobile": f"418 555-{self._random.randrange(10_000):04}"}
        body: dict[str, Any] = {"channel": channel, "name": f"Personne {number}", "contact": contact}
        # A session for professionals asks for both, and whoever sits in another may be moved to one.
        body |= {"organisation": "Bibliothèque municipale", "role": self._random.choice(ROLES)}
        if len(session["kinds"]) > 1:
            body["seat_kind"] = self._random.choice(session["kinds"])
        with_key = key if key is not None else self._random.random() < 0.9
        request = self._desk.request(
            "register",
            "POST",
            f"/sessions/{session['id']}/registrations",
            session=session["id"],
            body=body,
            client=self._number,
            token=None if channel == "web" else STAFF,
        )
        request.key = f"key {request.id}" if with_key else None
        return request

    def _copy(self, request: Request, kind: str | None = None) -> Request:
        fresh = self._desk.request("", "", "")
        return replace(request, id=fresh.id, kind=kind or "register repeat", sent=0.0, client=self._number)

    def _keep(self, request: Request, answer: Answer) -> None:
        own = self._desk.registered(request, answer)
        if own is not None:
            self._own.append(own)

    # What becomes of it.

    async def look_after_own(self) -> None:
        """Look at an own registration, then do what its person might."""
        if not self._own:
            return await self.register()
        own = self._random.choice(self._own)
        await self._act(own, "show")
        if own.status in OVER:
            self._own.remove(own)
            if self._random.random() < 0.2:
                await self._act(own, self._random.choice(["cancel", "accept", "decline"]))
        elif own.status == "offered":
            action = self._random.choices(["accept", "decline", "cancel", None], [55, 20, 5, 20])[0]
            if action is not None:
                await self._act(own, action)
        elif self._random.random() < (0.6 if len(self._own) > self._desk.crowd.cap // 2 else 0.35):
            await self._act(own, "cancel")
        elif self._random.random() < 0.1:
            await self._act(own, self._random.choice(["accept", "decline"]))
        return None

    async def both_at_once(self) -> None:
        """Two buttons in two windows, at the same time."""
        if self._own:
            own = self._random.choice(self._own)
            first, second = self._random.choices(["accept", "decline", "cancel", "show"], k=2)
            await asyncio.gather(self._act(own, first), self._act(own, second))

    async def _act(self, own: Own, action: str, token: str | None = None, **facts: Any) -> Answer:
        path = f"/registrations/{own.id}"
        method = {"show": "GET", "cancel": "DELETE"}.get(action, "POST")
        request = self._desk.request(
            action,
            method,
            path if action in {"show", "cancel"} else f"{path}/{action}",
            registration=own.id,
            session=own.session,
            token=token or own.token,
            client=self._number,
            **facts,
        )
        if method == "POST":
            request.key = f"key {request.id}"
        answer = await self._desk.ask(request)
        if answer.status < 300 and answer.body["id"] == own.id:
            own.status = answer.body["status"]
        return answer

    # Staff.

    async def act_as_staff(self) -> None:
        """Do something about anybody's registration, as staff may."""
        if not self._desk.recent:
            return
        action = self._random.choice(self._desk.crowd.staff_actions)
        wanted = MEANT_FOR.get(action)
        fitting = [own for own in self._desk.recent if own.status == wanted]
        own = self._random.choice(fitting or self._desk.recent)
        answer = await self._act(own, action, STAFF, body=self._body(own, action))
        if action == "transfer" and answer.status < 300:
            self._own.append(self._desk.know(answer.body["id"], answer.body["session_id"], answer.body))

    def _body(self, own: Own, action: str) -> dict[str, Any] | None:
        reason = {"reason": f"Par le personnel : {action}"}
        if action == "priority":
            return {"priority": self._random.randrange(4)} | reason
        if action == "move":
            waiting = [
                other.id
                for other in self._desk.recent
                if other.session == own.session and other.status == "waitlisted" and other is not own
            ]
            return {"before": self._random.choice([*waiting[-5:], None])} | reason
        if action == "transfer":
            session = self._desk.choose_session(self._random)
            return {"session_id": session["id"], "may_wait": self._random.random() < 0.3} | reason
        if action == "grant":
            return reason
        return {} if action == "no-answer" else None

    async def look_at_seats(self) -> None:
        await self._look("seats", None)

    async def look_at_line(self) -> None:
        await self._look("line", STAFF)

    async def _look(self, what: str, token: str | None) -> None:
        session = self._random.choice(self._desk.crowd.sessions)["id"]
        await self._desk.ask(
            self._desk.request(
                what, "GET", f"/sessions/{session}/{what}", session=session, token=token, client=self._number
            )
        )


async def run(folder: Path, process: int, life: int) -> None:
    """The clients of this process, then whatever is still without an answer, until it has one."""
    desk = Desk(folder, process, life)
    earlier, _wrong = read(folder / f"journal-{process}-{number}.jsonl" for number in range(life))
    for asked in earlier.values():
        desk.remember(asked)
    unanswered = [asked.request for asked in earlier.values() if asked.status is None]
    clients = [Client(desk, number) for number in range(desk.crowd.clients)]
    async with asyncio.TaskGroup() as group:
        group.create_task(_hear_the_end(desk, folder / THE_END))
        for request in unanswered:
            group.create_task(_resume(desk, request))
        for client in clients:
            group.create_task(client.live())
    desk.wire.close()


async def _hear_the_end(desk: Desk, called: Path) -> None:
    """A file, not a signal: a process that has only just begun would die of one."""
    while not called.exists():  # noqa: ASYNC240 - another process calls it, and it is one look
        desk.hear_the_programme()
        await asyncio.sleep(0.1)
    desk.stop.set()


async def _resume(desk: Desk, request: Request) -> None:
    """Ask again what a killed life left open, under the same key."""
    answer = await desk.ask(request)
    if request.kind.startswith("register"):
        desk.registered(request, answer)


if __name__ == "__main__":
    uvloop.run(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
