"""What the API says once everything is quiet: asked of every process, held against the rows."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.chaos.instance import ADMIN_TOKEN, Instance
from tests.chaos.invariants import seats_of
from tests.chaos.programme import Programme
from tests.chaos.promises import Heard
from tests.chaos.tables import Row, Tables
from tests.chaos.wire import Answer, Wire

API = "/api/registrations/v1"
MOST_PEOPLE = 1_000


class Asking:
    """Asks as the public, as staff and as the people who were given a link."""

    def __init__(self, instance: Instance, tables: Tables, programme: Programme) -> None:
        self._workers, self._tables, self._programme = instance.workers, tables, programme
        self._wire = Wire(patience=30)

    async def public_seats(self) -> list[str]:
        """Each process tells the public what the rows say."""
        found = []
        for session in self._programme.sessions:
            right = {kind: seats_of(self._tables, session.id, kind) for kind in session.kinds}
            for worker in self._workers:
                answer = await self._get(worker.port, f"/sessions/{session.id}/seats")
                none = dict.fromkeys(seats_of(self._tables, "", ""), 0)
                got = {kind: answer.body["by_kind"].get(kind, none) for kind in right}
                if got != right:
                    found.append(f"{session.label}: process {worker.number} says {got}, the rows {right}")
        return found

    async def lines(self) -> list[str]:
        """Rule S4: staff see everybody who waits, in the order that follows from the rows."""
        found = []
        for session in self._programme.sessions:
            answer = await self._get(self._workers[0].port, f"/sessions/{session.id}/line", ADMIN_TOKEN)
            rows = sorted(_waiting(self._tables, session.id), key=_standing)
            for kind in session.kinds:
                shown = [item["id"] for item in answer.body["items"] if item["seat_kind"] == kind]
                right = [str(row["id"]) for row in rows if row["seat_kind"] == kind]
                if shown != right:
                    found.append(
                        f"{session.label}: the line of {kind} is shown as {shown[:9]}, it is {right[:9]}"
                    )
        return found

    async def own_pages(self, heard: Heard, seed: int) -> list[str]:
        """People who were given a link find their registration behind it, as it is, and their place."""
        known = {asked.answer["id"]: asked.answer["manage_token"] for asked in heard.registers if asked.done}
        chosen = random.Random(seed)
        found = []
        for id_ in chosen.sample(sorted(known), min(MOST_PEOPLE, len(known))):
            worker = chosen.choice(self._workers)
            answer = await self._get(worker.port, f"/registrations/{id_}", known[id_])
            row = self._tables.registrations.get(id_)
            if row is None or answer.status != 200:
                found.append(f"{id_}: {answer.status}, its row is {row and row['status']}")
                continue
            got = answer.body["status"], answer.body["position"]
            if got != (row["status"], _place(self._tables, row)):
                found.append(f"{id_} reads {got}, it is {row['status']}, {_place(self._tables, row)}")
        return found

    def close(self) -> None:
        self._wire.close()

    async def _get(self, port: int, path: str, token: str | None = None) -> Answer:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await self._wire.request(port, "GET", API + path, headers)


def _waiting(tables: Tables, session_id: str) -> Iterator[Row]:
    return (row for row in tables.of_session.get(session_id, ()) if row["status"] == "waitlisted")


def _standing(row: Row) -> tuple[Any, ...]:
    """Priority, then the place that staff gave or the number, then the number."""
    return (-row["priority"], Decimal(row["seq"]) if row["place"] is None else row["place"], row["seq"])


def _place(tables: Tables, row: Row) -> int | None:
    """Among those who wait for a seat of the same kind."""
    if row["status"] != "waitlisted":
        return None
    waiting = _waiting(tables, str(row["session_id"]))
    ahead = (other for other in waiting if other["seat_kind"] == row["seat_kind"])
    return 1 + sum(_standing(other) < _standing(row) for other in ahead)
