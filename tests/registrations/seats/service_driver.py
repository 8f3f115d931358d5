"""The whole service on PostgreSQL as a driven system: its HTTP API, its inbox and its timers."""

import asyncio
import hashlib
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import httpx
import orjson

from libs.manage_tokens import manage_token
from libs.messaging.contracts import SessionAccess, SessionState
from services.registrations.draw import commitment
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, bearer, problem
from tests.registrations.seats.drivers import Line, Observed, Refusal, Seats, Standing
from tests.registrations.seats.model import CALLED, Published

T = TypeVar("T")
WHY = {"reason": "Demande du formateur"}

FROZEN = """
create table clock.frozen (at timestamptz not null);
insert into clock.frozen values (clock_timestamp());
grant select on clock.frozen to public;
create or replace function clock.decision_time() returns timestamptz language sql volatile
    as 'select at from clock.frozen';
"""
"""The clock of decisions stands still, so that an instant can be met exactly."""

PEOPLE = """
select id, seat_kind, channel, seq, status, pool_channel, priority, draw_rank, granted, offer_expires_at,
    wait_id is not null as on_offer, seats, gather_until, gathered
from registration where session_id = $1 order by seq
"""
POOLS = """
select seat_kind, channel, effective, confirmed, offered, waiting, gathering from seat_pool
where session_id = $1 and (effective > 0 or confirmed + offered > 0)
"""
SAID = """
select id, value from outbox
where id > $1 and topic = 'registrations' and partition_key = $2 order by id
"""


class ServiceDriver:
    """Called from a thread of its own; everything it asks of the service happens in `loop`."""

    knows_opening = True
    answers_again = True
    begins_anywhere = False
    takes_waits = False

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        instance: Instance,
        connection: asyncpg.Connection,
        clock: asyncpg.Connection,
    ) -> None:
        self._loop, self._instance, self._connection, self._clock = loop, instance, connection, clock
        self._session: UUID | None = None
        self._version = 0
        self._names: dict[UUID, str] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self._asked: dict[str, dict[str, Any]] = {}
        self._heard: set[tuple[str, int, int, str]] = set()
        self._outbox = self._run(connection.fetchval("select coalesce(max(id), 0) from outbox"))

    @property
    def session_id(self) -> UUID:
        assert self._session is not None, "a session is announced before anything else"
        return self._session

    def announce(self, facts: SessionState, line: Line = ()) -> None:
        assert not line, "the service has no line before its session"
        begins = self._session is None
        if begins:
            self._session = facts.id
            link = SessionAccess(session_id=facts.id, online_url="https://video.example.org/7")
            self._run(self._instance.hear(link))
        self._version += 1
        self._run(self._instance.hear(facts, version=self._version))
        if begins:
            self._lots = facts.waitlist.drawn.first_time_lots if facts.waitlist.drawn else 1
            self._know_the_seed()

    def _know_the_seed(self) -> None:
        """A seed that is the same in each run of this life: the machine must be able to try it again."""
        found = self._run(
            self._clock.fetchrow("select rules, closes_at from draw where session_id = $1", self._session)
        )
        if found is None:
            return
        seed = hashlib.sha256(found["closes_at"].isoformat().encode()).digest()
        # What was committed to can't be changed, but by who may do without all triggers.
        self._run(self._clock.execute("set session_replication_role = replica"))
        self._run(
            self._clock.execute(
                "update draw set seed = $2, commitment = $3 where session_id = $1",
                self._session,
                seed,
                commitment(seed, orjson.loads(found["rules"])),
            )
        )
        self._run(self._clock.execute("reset session_replication_role"))

    def clock(self, now: datetime) -> None:
        self._run(self._clock.execute("update clock.frozen set at = $1", now))

    def time_is_up(self) -> None:
        timers = Timers(self._instance.database, self._instance.settings)
        self._run(timers.act_on_what_is_due())

    def request(self, name: str, kind: str, channel: str, size: int, *, on_offer: bool = False) -> None:
        assert not on_offer, "who waits for many sessions joins by their wait, not by themselves"
        self._asked[name] = {"seat_kind": kind, "channel": channel, "party_size": size}
        if channel == CALLED:
            self._asked[name]["contact"] = {"phone": f"418 555-{int(name.removeprefix('p')):04}"}
        answer = self._register(name)
        if answer.status_code != 201:
            raise Refusal(problem(answer))
        self._answers[name] = answer.json()
        self._names[UUID(answer.json()["id"])] = name

    def request_again(self, name: str) -> None:
        """With the same key: the answer is the first one's, word for word (rule S5)."""
        again = self._register(name)
        assert (again.status_code, again.json()) == (200, self._answers[name])

    def cancel(self, name: str) -> None:
        self._ask(self._instance.client.delete(self._path(name), headers=self._instance.staff))

    def accept(self, name: str) -> None:
        self._act(name, "accept", headers=bearer(self._answers[name]))

    def decline(self, name: str) -> None:
        self._act(name, "decline", headers=bearer(self._answers[name]))

    def no_answer(self, name: str) -> None:
        self._act(name, "no-answer")

    def grant(self, name: str) -> None:
        self._act(name, "grant", json=WHY)

    def move(self, name: str, before: str | None) -> None:
        other = None if before is None else self._answers[before]["id"]
        self._act(name, "move", json=WHY | {"before": other})

    def prioritise(self, name: str, priority: int) -> None:
        self._act(name, "priority", json=WHY | {"priority": priority})

    def attend(self, name: str, outcome: str) -> None:
        self._act(name, "attendance", json={"outcome": outcome})

    def split(self, name: str, new_name: str, size: int) -> None:
        body = {"seats": size, "name": new_name}
        answer = self._run(
            self._instance.client.post(f"{self._path(name)}/split", headers=self._instance.staff, json=body)
        )
        if answer.status_code != 200:
            raise Refusal(problem(answer))
        self._know(answer.json(), new_name)

    def shrink(self, name: str, size: int) -> None:
        self._act(name, "shrink", json={"party_size": size})

    def transfer(self, name: str, there: "ServiceDriver", new_name: str, *, may_wait: bool) -> None:
        """To the other session, where the person is called `new_name`."""
        answer = self._run(
            self._instance.client.post(
                f"{self._path(name)}/transfer",
                headers=self._instance.staff,
                json=WHY | {"session_id": str(there.session_id), "may_wait": may_wait},
            )
        )
        if answer.status_code != 200:
            raise Refusal(problem(answer))
        there._know(answer.json(), new_name)

    def _know(self, found: dict[str, Any], name: str) -> None:
        """Somebody of whom the service made a registration by itself."""
        self._answers[name] = found | {"manage_token": found["manage_url"].rpartition("/")[2]}
        self._names[UUID(found["id"])] = name

    def meet(self, id_: UUID, name: str) -> None:
        """Somebody who came here by a wait for many sessions."""
        if id_ not in self._names:
            token = manage_token(self._instance.settings.secret, id_, 1)
            self._know({"id": str(id_), "manage_url": f"/{token}"}, name)

    def state(self) -> Observed:
        people = self._run(self._connection.fetch(PEOPLE, self.session_id))
        pools = self._run(self._connection.fetch(POOLS, self.session_id))
        return Observed(
            people={self._names[id_]: Standing(*row) for id_, *row in people},
            line=self._line(),
            pools={(kind, channel): Seats(*row) for kind, channel, *row in pools},
            draw=self._published(),
        )

    def _published(self) -> Published | None:
        """As anybody may read it."""
        path = f"/api/registrations/v1/sessions/{self.session_id}/draw"
        answer = self._run(self._instance.client.get(path))
        if answer.status_code == 404:
            return None
        found = answer.json()
        stage = found["stage"] if found["stage"] in ("drawn", "cancelled") else "to_come"
        tickets = None if found["tickets"] is None else tuple(map(tuple, found["tickets"]))
        return Published(stage, tickets, found["seed"] and bytes.fromhex(found["seed"]))

    def cancel_draw(self) -> None:
        path = f"/api/registrations/v1/sessions/{self.session_id}/draw/cancel"
        self._ask(self._instance.client.post(path, headers=self._instance.staff, json=WHY))

    def told(self) -> list[tuple[str, str]]:
        """By the causes that the outbox brings for the first time."""
        found = []
        for row in self._run(self._connection.fetch(SAID, self._outbox, str(self.session_id))):
            self._outbox = row["id"]
            state = orjson.loads(row["value"])
            for cause in state["causes"]:
                entry = (state["id"], cause["epoch"], cause["version"], cause["cause"])
                if entry not in self._heard:
                    self._heard.add(entry)
                    found.append((self._names[UUID(state["id"])], cause["cause"]))
        return found

    def _line(self) -> list[str]:
        """As staff are shown it."""
        path = f"/api/registrations/v1/sessions/{self.session_id}/line"
        answer = self._run(self._instance.client.get(path, headers=self._instance.staff))
        assert answer.status_code == 200, answer.text
        return [self._names[UUID(item["id"])] for item in answer.json()["items"]]

    def _register(self, name: str) -> httpx.Response:
        number, key = int(name.removeprefix("p")), {"Idempotency-Key": name}
        if self._lots > 1 and number % 2:
            self._asked[name]["consents"] = ["first_time_draw"]
        return self._run(self._instance.register(self.session_id, number, headers=key, **self._asked[name]))

    def _act(self, name: str, deed: str, **options: Any) -> None:
        options.setdefault("headers", self._instance.staff)
        self._ask(self._instance.client.post(f"{self._path(name)}/{deed}", **options))

    def _path(self, name: str) -> str:
        return f"/api/registrations/v1/registrations/{self._answers[name]['id']}"

    def _ask(self, call: Coroutine[Any, Any, httpx.Response]) -> None:
        answer = self._run(call)
        if answer.status_code != 200:
            raise Refusal(problem(answer))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
