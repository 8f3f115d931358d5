"""Joining: those who wait for many sessions enter the line of each that is wished for, as soon as it opens.

When a session is announced or changed, it is marked for the moment at which registration opens; until those
who wait have joined, no newcomer is admitted to it (`registering_sql.READ`), so nobody overtakes them.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import decision_time
from libs.database import Database
from libs.messaging.contracts import SessionState
from libs.settings import Settings
from libs.web.problems import Problem, Unavailable
from services.registrations import opening, waits
from services.registrations.confirmation import new_number
from services.registrations.draw import Stage
from services.registrations.inputs import ways_of
from services.registrations.models import AccommodationRequest, Consent, Registration, Wait
from services.registrations.registering import WORDING
from services.registrations.same_person import same_person
from services.registrations.seatbook import LIVE, Full, Release
from services.registrations.seating import Seating
from services.registrations.wait_telling import wish_of
from services.registrations.wishing import kind_wished

_AT_ONCE = 100


async def mark(tx: AsyncSession, seating: Seating) -> None:
    """The session is new or changed: those who wait are to join it once it is open, if there are any."""
    facts, row = seating.facts, seating.row
    row.joins_at = None
    if seating.is_over or not await tx.scalar(_WANTED, {"theme": facts.theme, "id": row.id}):
        return
    row.joins_at = max(seating.now, facts.opens_at or seating.now)


async def join_session(
    tx: AsyncSession, settings: Settings, session_id: UUID, only: Collection[UUID] | None = None
) -> int:
    """Let those who wait join the session's line, who began to wait first in front; how many did.

    Who stood in it by their wait, and no longer wishes for it as it is now, leaves it. `only`: just these
    waits. The session's mark is taken away, or put off until registration opens.
    """
    seating = await Seating.lock(tx, settings, session_id)
    if seating is None:
        return 0
    row, facts = seating.row, seating.facts
    opens_later = facts.opens_at is not None and facts.opens_at > seating.now
    if only is None or opens_later:
        row.joins_at = facts.opens_at if opens_later else None
    joined = 0
    # A draw asks for a firm wish: a wait takes no part in it, and joins the line that it leaves behind.
    by_lot = seating.book.stage in (Stage.TO_COME, Stage.CANCELLED)
    if not (seating.is_over or opens_later or by_lot):
        if row.next_release_at is not None and row.next_release_at <= seating.now:
            await seating.do(Release())
        await _leave_what_is_not_wished_for(seating)
        for wait in await _candidates(seating, only):
            joined += await _join(seating, wait)
    await seating.finish()
    return joined


class Joining:
    """Looks for lines to join; safe to run in several processes at once."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def act_on_what_is_due(self) -> None:
        """One pass: sessions that are marked, waits that are new or free again, waits that are over."""
        async with self._database.reading() as tx:
            now = await decision_time(tx)
            sessions = (await tx.scalars(_MARKED, {"now": now, "limit": _AT_ONCE})).all()
            due = (await tx.scalars(_DUE, {"limit": _AT_ONCE})).all()
            over = (
                await tx.scalars(
                    sa.select(col(Wait.id))
                    .where(col(Wait.status) == "open", col(Wait.last_day) < waits.today(now))
                    .limit(_AT_ONCE)
                )
            ).all()
        for session_id in sessions:
            await self.join(session_id)
        for wait_id in due:
            await self.join_wait(wait_id)
        for wait_id in over:
            # A wait that is joining lines at this very moment is over in the next pass.
            with suppress(Unavailable):
                async with self._database.transaction() as tx:
                    await waits.run_out(tx, self._settings, wait_id)

    async def sweep(self) -> None:
        """Compare all waits with all sessions: a wait and a session may begin at the same moment."""
        async with self._database.reading() as tx:
            ids = (await tx.scalars(_ALL_WANTED, {"now": await decision_time(tx)})).all()
        for session_id in ids:
            await self.join(session_id)

    async def join(self, session_id: UUID, only: Collection[UUID] | None = None) -> None:
        """Let those who wait join one session."""
        async with self._database.transaction() as tx:
            await join_session(tx, self._settings, session_id, only)

    async def join_wait(self, wait_id: UUID) -> None:
        """Let one wait join every session that it is for, the soonest first: each in its own transaction."""
        async with self._database.transaction() as tx:
            # Taken back first: what becomes due meanwhile is looked at in the next pass.
            await tx.execute(_TAKE, {"id": wait_id})
        async with self._database.reading() as tx:
            wait = await tx.get(Wait, wait_id)
            if wait is None or wait.status != "open":
                return
            rows = await tx.execute(_FOR_WAIT, {"id": wait_id, "now": await decision_time(tx)})
            wish = wish_of(wait)
            ids = [row.id for row in rows if kind_wished(wish, SessionState.model_validate(row.facts))]
        for session_id in ids:
            await self.join(session_id, {wait_id})


async def _leave_what_is_not_wished_for(seating: Seating) -> None:
    """The session has moved, or changed: who was only waiting, and told nothing, goes without a word."""
    rows = (
        await seating.tx.execute(
            sa.select(Registration, Wait)
            .join(Wait, col(Wait.id) == col(Registration.wait_id))
            .where(
                col(Registration.session_id) == seating.row.id,
                col(Registration.status) == "waitlisted",
            )
            .order_by(col(Registration.seq))
        )
    ).all()
    gone = [registration for registration, wait in rows if kind_wished(wish_of(wait), seating.facts) is None]
    seating.know(*gone)
    await waits.leave_lines({seating.row.id: seating}, gone)


async def _candidates(seating: Seating, only: Collection[UUID] | None) -> Sequence[Wait]:
    """The open waits that are for this session and have never joined it, locked: the longest first."""
    facts = seating.facts
    rows = await seating.tx.scalars(
        select(Wait).where(
            Wait.status == "open",
            Wait.theme == facts.theme,
            Wait.stream == facts.stream,
            ~sa.exists().where(
                col(Registration.wait_id) == col(Wait.id),
                col(Registration.session_id) == seating.row.id,
            ),
            *(() if only is None else (col(Wait.id).in_(only),)),
        )
    )
    ids = [wait.id for wait in rows if kind_wished(wish_of(wait), facts) is not None]
    if not ids:
        return []
    # In the order of their ids, as everybody locks them; one that has ended meanwhile is left out.
    locked = await seating.tx.scalars(
        select(Wait)
        .where(col(Wait.id).in_(ids), Wait.status == "open")
        .order_by(col(Wait.id))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return sorted(locked, key=lambda wait: (wait.created_at, str(wait.id)))


async def _join(seating: Seating, wait: Wait) -> int:
    """One more person in the line, or offered a seat that is free; 0 if the session takes nobody for now.

    Nobody is kept two seats because both were free: while an offer of the wait is open, it only waits.
    """
    facts = seating.facts
    kind = kind_wished(wish_of(wait), facts)
    assert kind is not None, "it was wished for when it was chosen"
    try:
        has_link = seating.row.online_url is not None
        opening.check_open(facts, seating.now, wait.channel, has_link=has_link)
        opening.check_details(facts, wait.organisation, wait.role)
    except Problem:
        return 0
    is_free = seating.book.seat_for(kind, wait.channel) is not None
    if (is_free and await _has_offer(seating.tx, wait)) or await _is_there_already(seating, wait):
        return 0
    registration = _registration(seating, wait, kind)
    try:
        await seating.admit(registration)
    except Full:
        seating.tx.expunge(registration)
        return 0
    await _add_answers(seating, wait, registration)
    if registration.status == "waitlisted":
        # They were told that they wait: of each line they are not told.
        seating.telling.restate(registration)
    return 1


def _registration(seating: Seating, wait: Wait, kind: str) -> Registration:
    id_ = uuid4()
    return Registration(
        id=id_,
        session_id=seating.row.id,
        status="pending",
        seat_kind=kind,
        channel=wait.channel,
        name=wait.name,
        name_key=wait.name_key,
        language=wait.language,
        email=wait.email,
        mobile=wait.mobile,
        phone=wait.phone,
        postal=wait.postal,
        organisation=wait.organisation if seating.facts.stream == "pro" else None,
        role=wait.role if seating.facts.stream == "pro" else None,
        confirmation_number=new_number(),
        seq=0,
        ledger_ref=uuid4(),
        wait_id=wait.id,
        uid=f"{id_}@{seating.settings.uid_domain}",
        content_hash=wait.content_hash,
        created_at=seating.now,
    )


async def _add_answers(seating: Seating, wait: Wait, registration: Registration) -> None:
    """What the person needs that day, under the consent that they gave with their wait."""
    if not wait.accommodations:
        return
    await seating.tx.flush()
    for need in wait.accommodations:
        seating.tx.add(AccommodationRequest(registration_id=registration.id, need=need))
    seating.tx.add(
        Consent(
            registration_id=registration.id,
            purpose="accommodation_data",
            wording=WORDING,
            channel=wait.channel,
            given_at=wait.created_at,
        )
    )


async def _has_offer(tx: AsyncSession, wait: Wait) -> bool:
    found = await tx.scalar(
        sa.select(col(Registration.id))
        .where(col(Registration.wait_id) == wait.id, col(Registration.status) == "offered")
        .limit(1)
    )
    return found is not None


async def _is_there_already(seating: Seating, wait: Wait) -> bool:
    """Whether somebody of this name, reached in the same way, has a seat or a place here already (S5)."""
    if wait.another_person:
        return False
    found = await seating.tx.scalar(
        sa.select(col(Registration.id))
        .where(
            col(Registration.session_id) == seating.row.id,
            same_person(Registration, wait.name_key, ways_of(wait)),
            col(Registration.status).in_(LIVE),
        )
        .limit(1)
    )
    return found is not None


_MARKED = sa.text("select id from session where joins_at <= :now order by joins_at, id limit :limit")
_DUE = sa.text("select id from wait where due and status = 'open' order by created_at, id limit :limit")
_TAKE = sa.text("update wait set due = false where id = :id and due")
_WANTED = sa.text(
    "select exists (select from wait where status = 'open' and theme = :theme)"
    " or exists (select from registration where session_id = :id and wait_id is not null"
    " and status = 'waitlisted')"
)
_FOR_WAIT = sa.text(
    """
    select session.id, session.facts from session join wait on wait.id = :id
    where session.status = 'published' and starts_at > :now
        and facts ->> 'theme' = theme and facts ->> 'stream' = stream
        and not exists (
            select from registration where wait_id = wait.id and session_id = session.id
        )
    order by starts_at, session.id
    """
)
_ALL_WANTED = sa.text(
    """
    select session.id from session
    where session.status = 'published' and starts_at > :now
        and coalesce((facts ->> 'opens_at')::timestamptz <= :now, true)
        and coalesce(draw_stage not in ('to_come', 'cancelled'), true)
        and exists (
            select from wait
            where wait.status = 'open' and theme = facts ->> 'theme' and stream = facts ->> 'stream'
                and (facts ->> 'starts_at')::date between first_day and last_day
                and not exists (
                    select from registration where wait_id = wait.id and session_id = session.id
                )
        )
    order by starts_at, session.id
    """
)
