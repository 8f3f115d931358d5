"""Waits: one person who waits for many sessions, and all the lines in which they stand meanwhile.

Locks are taken in one order: sessions by their ids, then the wait. So two people who accept at once, or
somebody who accepts while a line is being joined, never wait for each other.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import decision_time, zone
from libs.settings import Settings
from libs.web.problems import Malformed, Unavailable
from libs.web.validation import FieldError
from services.registrations import wait_telling
from services.registrations.confirmation import new_number
from services.registrations.inputs import professional_details
from services.registrations.models import Registration, Wait
from services.registrations.problems import AlreadyOver, MaybeDuplicate, RegistrationUnknown, WaitUnknown
from services.registrations.same_person import same_person
from services.registrations.seatbook import LIVE, Cancel
from services.registrations.seating import Seating, lock_all, ref_of
from services.registrations.wait_inputs import WaitRequest, errors_of_period

By = Literal["person", "staff"]

_ONE_AFTER_THE_OTHER = sa.text("select pg_advisory_xact_lock(hashtextextended(:key, 0))")
_TRIES = 5
"""How often the lines of a wait may grow while they are being locked."""


class _Grown(Exception):
    """The wait has joined another line meanwhile."""


@dataclass(slots=True)
class Stops:
    """A registration under the lock of its session, with all others of its wait under those of theirs.

    `wait` is None for who asked for this session alone. `seatings` are all that are locked.
    """

    registration: Registration
    seatings: dict[UUID, Seating | None]
    wait: Wait | None = None
    others: list[Registration] = field(default_factory=list)

    @property
    def seating(self) -> Seating:
        found = self.seatings[self.registration.session_id]
        if found is None:
            raise RegistrationUnknown
        return found

    async def close(self, settings: Settings) -> bool:
        """A seat was found: every other stop ends, its seat goes on at once, and nobody is told of that.

        Whether there was a wait to end. Write with `finish`.
        """
        if self.wait is None or self.wait.status != "open":
            return False
        seating = self.seating
        await leave_lines(self.seatings, self.others)
        _over(self.wait, "found", seating.now)
        await wait_telling.say(seating.tx, settings, self.wait, seating.now)
        return True

    async def finish(self) -> None:
        """Write what was decided for each session, in their order."""
        for id_ in sorted(self.seatings):
            seating = self.seatings[id_]
            if seating is not None:
                await seating.finish()


async def lock_stops(tx: AsyncSession, settings: Settings, registration_id: UUID, *also: UUID) -> Stops:
    """The registration and all stops of its wait, locked, with the sessions `also`. `RegistrationUnknown`.

    A line may be joined after the stops were looked up and before they are locked: then all locks are let
    go, and they are taken again, in order.
    """
    found = await tx.get(Registration, registration_id)
    if found is None:
        raise RegistrationUnknown
    wait_id, session_id = found.wait_id, found.session_id
    if wait_id is None:
        seatings = await lock_all(tx, settings, (session_id, *also))
        await _reread(tx, found, seatings)
        return Stops(found, seatings)
    seatings, wait, stops = await _lock_lines(tx, settings, wait_id, (session_id, *also))
    await _reread(tx, found, seatings)
    return Stops(found, seatings, wait, [stop for stop in stops if stop.id != registration_id])


async def _lock_lines(
    tx: AsyncSession, settings: Settings, wait_id: UUID, also: Sequence[UUID] = ()
) -> tuple[dict[UUID, Seating | None], Wait, list[Registration]]:
    """Every session in whose line the wait stands, the wait, and its live registrations."""
    for _ in range(_TRIES):
        with suppress(_Grown):
            # What is locked within is let go when it ends in vain.
            async with tx.begin_nested():
                return await _lock_known_lines(tx, settings, wait_id, also)
    raise Unavailable


async def _lock_known_lines(
    tx: AsyncSession, settings: Settings, wait_id: UUID, also: Sequence[UUID]
) -> tuple[dict[UUID, Seating | None], Wait, list[Registration]]:
    """Those in which it stands now. Raises `_Grown` if it stands in another one once they are locked."""
    ids = await _sessions_of(tx, wait_id)
    seatings = await lock_all(tx, settings, {*ids, *also})
    wait = await tx.get(Wait, wait_id, with_for_update={"key_share": True}, populate_existing=True)
    if wait is None:
        raise WaitUnknown
    stops = await _live(tx, wait_id)
    for stop in stops:
        seating = seatings.get(stop.session_id)
        if seating is None:
            raise _Grown
        seating.know(stop)
    return seatings, wait, stops


async def leave_lines(seatings: dict[UUID, Seating | None], stops: Sequence[Registration]) -> None:
    """End these registrations without a word; a seat that was kept for one goes to the next person."""
    for stop in sorted(stops, key=lambda stop: stop.session_id):
        seating = seatings[stop.session_id]
        assert seating is not None, "a registration's session is known"
        await seating.do(Cancel(ref_of(stop)))
        stop.invited = False
        seating.telling.restate(stop)


async def note(tx: AsyncSession, settings: Settings, wait_id: UUID, asked: WaitRequest) -> tuple[Wait, bool]:
    """Begin a wait, and whether it is new: the same id with the same content is the same wait (rule S5).

    It joins its lines afterwards, each in a transaction of its own (`joining.py`). Raises `Malformed`, and
    `MaybeDuplicate` when somebody of this name, reached in the same way, waits for the same subject, or when
    the id is known with other content, until they say that it is another person: that wait gets an id of
    its own.
    """
    # A double click, or a call while the form is sent: the second finds what the first has written.
    for key in (f"wait:{wait_id}", f"waiter:{asked.theme}:{asked.name_key}"):
        await tx.execute(_ONE_AFTER_THE_OTHER, {"key": key})
    now = await decision_time(tx)
    for id_ in (wait_id, uuid5(wait_id, asked.content_hash.hex())):
        known = await tx.get(Wait, id_)
        if known is None:
            break
        if known.content_hash == asked.content_hash:
            return known, False
        # The back button, then the spouse's name.
        if not asked.another_person:
            raise MaybeDuplicate
    problems = [*errors_of_period(asked, today(now)), *_details_missing(asked)]
    if problems:
        raise Malformed(errors=problems)
    if not asked.another_person and await _waits_already(tx, asked):
        raise MaybeDuplicate
    contact, where = asked.contact, asked.around
    wait = Wait(
        id=id_,
        channel=asked.channel,
        name=asked.name,
        name_key=asked.name_key,
        language=asked.language,
        email=contact.email,
        mobile=contact.mobile,
        phone=contact.phone,
        postal=contact.postal,
        organisation=asked.organisation,
        role=asked.role,
        another_person=asked.another_person,
        accommodations=list(dict.fromkeys(asked.accommodations)),
        theme=asked.theme,
        stream=asked.stream,
        regions=sorted(set(asked.regions)),
        place=where.place if where else None,
        latitude=where.latitude if where else None,
        longitude=where.longitude if where else None,
        km=where.km if where else None,
        online=asked.online,
        spoken=asked.session_language,
        first_day=asked.first_day,
        last_day=asked.last_day,
        confirmation_number=new_number(),
        content_hash=asked.content_hash,
        created_at=now,
    )
    tx.add(wait)
    await wait_telling.say(tx, settings, wait, now, wait_telling.NOTED)
    return wait, True


async def end(tx: AsyncSession, settings: Settings, wait_id: UUID, by: By, reason: str | None = None) -> Wait:
    """Give up a wait, and every place and kept seat that came of it. Repeating it changes nothing."""
    return await _end(tx, settings, wait_id, "ended", wait_telling.ENDED, reason=reason)


async def run_out(tx: AsyncSession, settings: Settings, wait_id: UUID) -> Wait:
    """No day is left on which a seat could be found: the person is told so."""
    return await _end(tx, settings, wait_id, "over", wait_telling.OVER)


async def _end(
    tx: AsyncSession,
    settings: Settings,
    wait_id: UUID,
    status: str,
    cause: str,
    *,
    reason: str | None = None,
) -> Wait:
    seatings, wait, stops = await _lock_lines(tx, settings, wait_id)
    if wait.status != "open":
        return wait
    await leave_lines(seatings, stops)
    now = await decision_time(tx)
    _over(wait, status, now)
    await wait_telling.say(tx, settings, wait, now, cause, reason=reason)
    for id_ in sorted(seatings):
        seating = seatings[id_]
        if seating is not None:
            await seating.finish()
    return wait


async def revoke_links(tx: AsyncSession, settings: Settings, wait_id: UUID) -> Wait:
    """Make every link to the wait's page sent so far worthless; the next message carries a new one."""
    wait = await tx.get(Wait, wait_id, with_for_update={"key_share": True}, populate_existing=True)
    if wait is None or not wait.name:
        raise WaitUnknown
    wait.generation += 1
    await wait_telling.say(tx, settings, wait, await decision_time(tx))
    return wait


async def look_again(tx: AsyncSession, *registrations: Registration) -> None:
    """Seats that were kept are let go: others that are free may be offered to these people now."""
    # In the order of their ids, as everybody locks waits.
    for wait_id in sorted({one.wait_id for one in registrations if one.wait_id is not None}):
        await tx.execute(
            sa.update(Wait)
            .where(col(Wait.id) == wait_id, col(Wait.status) == "open")
            .values(due=True)
            .execution_options(synchronize_session=False)
        )


def today(now: datetime) -> date:
    """The day by which waits begin and end."""
    return now.astimezone(zone(wait_telling.ZONE)).date()


def is_unasked(registration: Registration) -> bool:
    """Whether the person stands in this line by their wait alone, and was told nothing of it yet."""
    return registration.wait_id is not None and registration.status == "waitlisted"


def _over(wait: Wait, status: str, now: datetime) -> None:
    wait.status, wait.ended_at, wait.due = status, now, False
    wait.accommodations = []


def _details_missing(asked: WaitRequest) -> list[FieldError]:
    return professional_details(asked.organisation, asked.role) if asked.stream == "pro" else []


async def _waits_already(tx: AsyncSession, asked: WaitRequest) -> bool:
    found = await tx.scalar(
        sa.select(col(Wait.id))
        .where(
            same_person(Wait, asked.name_key, asked.contact.ways),
            col(Wait.status) == "open",
            col(Wait.theme) == asked.theme,
        )
        .limit(1)
    )
    return found is not None


async def _sessions_of(tx: AsyncSession, wait_id: UUID) -> list[UUID]:
    rows = await tx.scalars(
        sa.select(col(Registration.session_id)).where(
            col(Registration.wait_id) == wait_id, col(Registration.status).in_(LIVE)
        )
    )
    return list(rows)


async def _live(tx: AsyncSession, wait_id: UUID) -> list[Registration]:
    rows = await tx.scalars(
        select(Registration)
        .where(Registration.wait_id == wait_id, col(Registration.status).in_(LIVE))
        .order_by(col(Registration.session_id))
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def _reread(tx: AsyncSession, found: Registration, seatings: dict[UUID, Seating | None]) -> None:
    """What was read before the lock may have changed while we waited for it."""
    await tx.refresh(found)
    seating = seatings[found.session_id]
    if seating is None:
        raise RegistrationUnknown
    if found.ledger_ref is None:
        raise AlreadyOver
    seating.know(found)
