"""Reads for the pages: a session with its seats, a registration with its place, the desk's searches."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import phonenumbers
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.clock import decision_time
from libs.messaging.contracts import Alternative, Cause, SeatsOfKind, SessionState
from libs.opening_hours import Ranges
from libs.settings import Settings
from services.registrations import queries
from services.registrations.inputs import RegistrationRequest, name_key
from services.registrations.models import (
    AccommodationRequest,
    Consent,
    Registration,
    RegistrationCause,
    SessionCopy,
    StaffAction,
    Wait,
)
from services.registrations.problems import RegistrationUnknown, SessionUnknown
from services.registrations.reached import notices_of
from services.registrations.reaching import reach_of
from services.registrations.reconfirmation import is_asked
from services.registrations.registration_view import Elsewhere, RegistrationView
from services.registrations.seatbook import LIVE
from services.registrations.session_view import SessionView
from services.registrations.spelling import read_back
from services.registrations.standing import standing_of

_NOBODY = SeatsOfKind(capacity=0, confirmed=0, offered=0, held=0, available=0, waitlisted=0)
_ENDED_BY = {
    "cancelled_by_person": "person",
    "cancelled_by_staff": "staff",
    "session_cancelled": "session",
    "draw_cancelled": "draw",
    "released_unanswered": "silence",
}
MANY = 50
"""People found by one search, and sessions on one page of the desk's list."""


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody whom the desk was looking for."""

    registration: Registration
    session: SessionView


@dataclass(frozen=True, slots=True)
class Page:
    """Sessions in the order of their start; `next` is the cursor of what follows, if anything does."""

    sessions: tuple[SessionView, ...]
    next: str | None


async def session_view(tx: AsyncSession, session_id: UUID, *, channel: str = "web") -> SessionView:
    """The session as somebody who asks by `channel` may have it; raises `SessionUnknown`."""
    row = await tx.get(SessionCopy, session_id)
    if row is None or row.facts is None:
        raise SessionUnknown
    return (await _views(tx, [row], await decision_time(tx), channel))[0]


async def registration_view(tx: AsyncSession, registration_id: UUID) -> RegistrationView:
    """A registration with its place in the line and what happened to it.

    Raises `RegistrationUnknown`, also once the person has been erased from it.
    """
    person = await tx.get(Registration, registration_id)
    if person is None or not person.name:
        raise RegistrationUnknown
    session = await session_view(tx, person.session_id)
    position = await queries.position(tx, person)
    ended = await _last_cause(tx, person.id, tuple(_ENDED_BY)) if person.status == "cancelled" else None
    moved = await _last_cause(tx, person.id, ("session_changed",)) if person.status in LIVE else None
    notices = (await notices_of(tx, [person.id])).get(person.id, [])
    return RegistrationView(
        id=person.id,
        name=person.name,
        status=person.status,
        number=person.confirmation_number,
        seat_kind=person.seat_kind,
        route=route_of(person),
        language=person.language,
        generation=person.generation,
        uid=person.uid,
        sequence=person.sequence,
        touched_at=max(
            moment
            for moment in (
                person.created_at,
                person.confirmed_at,
                person.ended_at,
                session.facts.updated_at,
            )
            if moment is not None
        ),
        session=session,
        ahead=None if position is None else position - 1,
        offer_expires_at=person.offer_expires_at,
        had_seat=person.confirmed_at is not None,
        office_week=(await office_weeks(tx, [person])).get(person.id),
        ended_by=_ENDED_BY[ended.cause] if ended else None,
        reason=ended.reason if ended else None,
        before=moved.previous if moved else None,
        was_at=await _elsewhere(tx, person.transferred_from),
        now_at=await _transferred_to(tx, person.id) if person.status == "cancelled" else None,
        granted=person.granted,
        version=person.version,
        ticket=None if session.draw is None else person.seq,
        rank=person.draw_rank,
        asked_at=person.created_at,
        wait_id=person.wait_id,
        notices=tuple(notices),
        reach=reach_of(notices),
        is_asked=is_asked(person, session.facts.starts_at_utc),
        has_reconfirmed=person.reconfirmed_at is not None,
        party_size=person.party_size,
        seats=person.seats,
        gather_until=person.gather_until,
        gathered=person.gathered,
    )


async def history(tx: AsyncSession, registration_id: UUID) -> list[StaffAction]:
    """What staff did to somebody out of the usual order, oldest first, also before they were transferred."""
    ids = list(await tx.scalars(_EARLIER, {"id": registration_id}))
    actions = await queries.staff_actions(tx, ids)
    return sorted((action for found in actions.values() for action in found), key=lambda action: action.at)


async def _transferred_to(tx: AsyncSession, registration_id: UUID) -> Elsewhere | None:
    """Where somebody is now, however often they were transferred since."""
    later = (await tx.execute(_LATER, {"id": registration_id})).all()
    return await _elsewhere(tx, later[-1].id, any(row.generation > 1 for row in later)) if later else None


async def _elsewhere(
    tx: AsyncSession, registration_id: UUID | None, link_replaced: bool = False
) -> Elsewhere | None:
    person = await tx.get(Registration, registration_id) if registration_id is not None else None
    row = await tx.get(SessionCopy, person.session_id) if person is not None else None
    if person is None or row is None or not person.name:
        return None
    return Elsewhere(person.id, SessionState.model_validate(row.facts), person.generation, link_replaced)


def route_of(person: Registration | Wait) -> str:
    """How a person is reached first, as `notifications` does it."""
    return next((route for route in ("email", "mobile", "phone") if getattr(person, route)), "postal")


async def alternatives(tx: AsyncSession, settings: Settings, session: SessionView) -> list[Alternative]:
    """Up to three other sessions with room."""
    return await queries.alternatives(tx, settings, session.facts, session.now)


async def needs(tx: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """What these people need that day, while their consent to prepare it holds."""
    rows = await tx.execute(
        sa.select(col(AccommodationRequest.registration_id), col(AccommodationRequest.need))
        .join(
            Consent,
            sa.and_(
                col(Consent.registration_id) == col(AccommodationRequest.registration_id),
                col(Consent.purpose) == "accommodation_data",
                col(Consent.withdrawn_at).is_(None),
            ),
        )
        .where(col(AccommodationRequest.registration_id).in_(ids))
        .order_by(col(AccommodationRequest.need))
    )
    found: dict[UUID, list[str]] = {}
    for registration_id, need in rows:
        found.setdefault(registration_id, []).append(need)
    return found


async def alike(tx: AsyncSession, session_id: UUID, request: RegistrationRequest) -> Sequence[Registration]:
    """The live registrations of the same name on a session: for the team's eyes, never for the public's."""
    rows = await tx.scalars(
        sa.select(Registration)
        .where(
            col(Registration.session_id) == session_id,
            col(Registration.name_key) == request.name_key,
            col(Registration.status).in_(LIVE),
        )
        .order_by(col(Registration.seq))
        .limit(MANY)
    )
    return rows.all()


async def desk_page(tx: AsyncSession, cursor: tuple[datetime, UUID] | None) -> Page:
    """Today's sessions, also those that are over, and those to come."""
    now = await decision_time(tx)
    since = now - timedelta(hours=36)
    query = (
        sa.select(SessionCopy)
        .where(col(SessionCopy.facts).is_not(None), col(SessionCopy.starts_at) >= since)
        .order_by(col(SessionCopy.starts_at), col(SessionCopy.id))
        .limit(MANY + 1)
    )
    if cursor is not None:
        query = query.where(sa.tuple_(col(SessionCopy.starts_at), col(SessionCopy.id)) > cursor)
    rows = (await tx.scalars(query)).all()
    views = await _views(tx, rows[:MANY], now, "phone")
    last = rows[MANY - 1] if len(rows) > MANY else None
    return Page(
        tuple(view for view in views if _is_from_today_on(view)),
        f"{last.starts_at.isoformat()}_{last.id}" if last is not None and last.starts_at else None,
    )


async def coming(tx: AsyncSession) -> Sequence[SessionView]:
    """The sessions that people can still be registered for, soonest first."""
    now = await decision_time(tx)
    rows = await tx.scalars(
        sa.select(SessionCopy)
        .where(col(SessionCopy.status) == "published", col(SessionCopy.starts_at) > now)
        .order_by(col(SessionCopy.starts_at))
        .limit(500)
    )
    return [view for view in await _views(tx, rows.all(), now, "phone") if view.is_open]


async def search(tx: AsyncSession, text: str) -> list[Found]:
    """People by confirmation number, telephone, e-mail or parts of a name; the coming sessions first.

    Of a wait for many sessions the mere places in lines are found by their own number alone: the wait
    itself is found (`search_waits`), and leads to them.
    """
    condition = _matching(Registration, text)
    if condition is None:
        return []
    if read_back(text) is None:
        condition = sa.and_(condition, sa.not_(_MERE_PLACE))
    now = await decision_time(tx)
    rows = (
        await tx.execute(
            sa.select(Registration, SessionCopy)
            .join(SessionCopy, col(SessionCopy.id) == col(Registration.session_id))
            .where(condition, col(SessionCopy.facts).is_not(None))
            .order_by(
                col(SessionCopy.ends_at) < now,
                sa.case((col(Registration.status).in_(LIVE), 0), else_=1),
                col(SessionCopy.starts_at),
                col(Registration.seq),
            )
            .limit(MANY)
        )
    ).all()
    views = {view.id: view for view in await _views(tx, [row[1] for row in rows], now, "phone")}
    return [Found(row[0], views[row[1].id]) for row in rows]


async def search_waits(tx: AsyncSession, text: str) -> Sequence[Wait]:
    """Waits for many sessions, by the same words as people; those that last first, the newest of them."""
    condition = _matching(Wait, text)
    if condition is None:
        return ()
    rows = await tx.scalars(
        sa.select(Wait)
        .where(condition, col(Wait.name) != "")
        .order_by(col(Wait.status) != "open", col(Wait.created_at).desc(), col(Wait.id))
        .limit(MANY)
    )
    return rows.all()


def _matching(who: type[Registration] | type[Wait], text: str) -> sa.ColumnElement[bool] | None:
    """Whom the desk looks for; None if what was typed is too little to look for anybody."""
    number = read_back(text)
    if number is not None:
        return col(who.confirmation_number) == number
    if "@" in text:
        return sa.func.lower(col(who.email)) == text.lower()
    digits = _digits(text)
    if digits is not None:
        return sa.or_(sa.func.strpos(col(who.mobile), digits) > 0, sa.func.strpos(col(who.phone), digits) > 0)
    words = name_key(text).split()
    if len("".join(words)) < 2:
        return None
    return sa.and_(*(sa.func.strpos(col(who.name_key), word) > 0 for word in words))


_MERE_PLACE = sa.and_(
    col(Registration.wait_id).is_not(None),
    col(Registration.status).in_(("waitlisted", "cancelled")),
    col(Registration.confirmed_at).is_(None),
)


def _digits(text: str) -> str | None:
    """The part of a telephone number that was typed: at least four of its last digits."""
    if any(sign.isalpha() for sign in text):
        return None
    digits = "".join(sign for sign in text if sign.isascii() and sign.isdigit())
    if len(digits) < 4:
        return None
    try:
        parsed = phonenumbers.parse(text, "CA")
    except phonenumbers.NumberParseException:
        return digits
    return digits if len(digits) < 10 else phonenumbers.national_significant_number(parsed)


async def _views(
    tx: AsyncSession, rows: Sequence[SessionCopy], now: datetime, channel: str
) -> list[SessionView]:
    kinds = await queries.seats_by_kind(tx, [row.id for row in rows])
    views = []
    for row in rows:
        facts = SessionState.model_validate(row.facts)
        seats = queries.total(kinds[row.id]) if kinds[row.id] else _NOBODY
        views.append(
            SessionView(
                facts=facts,
                seats=seats,
                by_kind=kinds[row.id],
                standing=standing_of(
                    facts,
                    seats,
                    now,
                    has_link=row.online_url is not None,
                    channel=channel,
                    draw=row.draw_stage,
                ),
                now=now,
                room_link=row.online_url,
                draw_stage=row.draw_stage,
            )
        )
    return views


def _is_from_today_on(view: SessionView) -> bool:
    return view.facts.ends_at.date() >= view.local(view.now).date()


async def office_weeks(tx: AsyncSession, people: Collection[Registration]) -> dict[UUID, tuple[Ranges, ...]]:
    """Of those to whom a seat is offered: the team's hours, where the time to answer is counted in them."""
    ends = {person.id: person.offer_expires_at for person in people if person.offer_expires_at is not None}
    if not ends:
        return {}
    rows = await tx.execute(
        sa.select(col(RegistrationCause.registration_id), col(RegistrationCause.body)).where(
            col(RegistrationCause.registration_id).in_(ends), col(RegistrationCause.cause) == "offered"
        )
    )
    offers = [(row.registration_id, Cause.model_validate(row.body)) for row in rows]
    return {
        id_: offer.office_week
        for id_, offer in offers
        if offer.office_week is not None and offer.offer_expires_at == ends[id_]
    }


async def _last_cause(tx: AsyncSession, registration_id: UUID, names: Sequence[str]) -> Cause | None:
    body = await tx.scalar(
        sa.select(col(RegistrationCause.body))
        .where(
            col(RegistrationCause.registration_id) == registration_id, col(RegistrationCause.cause).in_(names)
        )
        .order_by(col(RegistrationCause.epoch).desc(), col(RegistrationCause.version).desc())
        .limit(1)
    )
    return None if body is None else Cause.model_validate(body)


_LATER = sa.text(
    """
    with recursive later as (
        select id, generation, 1 as step from registration where transferred_from = :id
        union all
        select registration.id, registration.generation, step + 1
        from registration join later on registration.transferred_from = later.id
    )
    select id, generation from later order by step
    """
)
_EARLIER = sa.text(
    """
    with recursive earlier as (
        select id, transferred_from from registration where id = :id
        union all
        select registration.id, registration.transferred_from
        from registration join earlier on registration.id = earlier.transferred_from
    )
    select id from earlier
    """
)
