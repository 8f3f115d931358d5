"""What the coordinators' pages read: sessions by their filters, weeks, venues to choose, who is busy when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.geography import Point
from services.events import queries
from services.events.coordination.rows import SessionRow, Totals, row_of
from services.events.models import (
    Session,
    SessionSeats,
    SessionTrainer,
    Stop,
    Tour,
    Trainer,
    Venue,
)
from services.events.planning import Booking, Clash, clashes
from services.events.search import search_text

PAGE = 50
MANY = 150
"""As many sessions as one form can name; a storm over more is two forms."""
LIVE = ("draft", "published")

_TAKEN = col(SessionSeats.confirmed) + col(SessionSeats.offered)
_PLANNED = col(Session.capacity_on_site) + col(Session.capacity_online)
_AVAILABLE = sa.func.coalesce(col(SessionSeats.available), _PLANNED)
_WAITING = sa.func.coalesce(col(SessionSeats.waitlisted), 0)
_ORDERS: Mapping[str, Sequence[Any]] = {
    "date": (col(Session.starts_at_utc),),
    "title": (sa.func.lower(sa.func.unaccent(col(Session.title))), col(Session.starts_at_utc)),
    "free": (_AVAILABLE, col(Session.starts_at_utc)),
    "waiting": (_WAITING, col(Session.starts_at_utc)),
}
SORTS = frozenset({*_ORDERS, *(f"-{name}" for name in _ORDERS)})


@dataclass(frozen=True, slots=True)
class SessionFilters:
    """What the list shows; empty text and None mean no choice. Days are those of the sessions' places."""

    status: str = ""
    region: str = ""
    first: date | None = None
    last: date | None = None
    q: str = ""
    tour: UUID | None = None
    trainer: str = ""
    sort: str = "date"
    page: int = 1


@dataclass(frozen=True, slots=True)
class SessionPage:
    rows: list[SessionRow]
    totals: Totals
    has_more: bool


async def session_page(
    db: AsyncSession, filters: SessionFilters, home_zone: str, language: str
) -> SessionPage:
    """One page of sessions with the sums over all of them."""
    conditions = _conditions(filters)
    order = _ORDERS[filters.sort.removeprefix("-")]
    ordered = [item.desc() if filters.sort.startswith("-") else item for item in order]
    found = await db.execute(
        select(Session.id)
        .outerjoin(SessionSeats, col(SessionSeats.session_id) == col(Session.id))
        .where(*conditions)
        .order_by(*ordered, col(Session.id))
        .offset((filters.page - 1) * PAGE)
        .limit(PAGE + 1)
    )
    ids = list(found.scalars())
    rows = await rows_of(db, ids[:PAGE], home_zone, language)
    return SessionPage(rows, await _totals(db, conditions), len(ids) > PAGE)


async def _totals(db: AsyncSession, conditions: Sequence[sa.ColumnElement[bool]]) -> Totals:
    live = col(Session.status) != "cancelled"

    def added(amount: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(amount).filter(live), 0)

    row = (
        await db.execute(
            sa.select(
                sa.func.count(),
                added(sa.func.coalesce(col(SessionSeats.capacity), _PLANNED)),
                added(sa.func.coalesce(_TAKEN, 0)),
                added(_AVAILABLE),
                added(_WAITING),
            )
            .select_from(Session)
            .outerjoin(SessionSeats, col(SessionSeats.session_id) == col(Session.id))
            .where(*conditions)
        )
    ).one()
    return Totals(*(int(figure) for figure in row))


def _conditions(filters: SessionFilters) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if filters.status:
        found.append(col(Session.status) == filters.status)
    if filters.region:
        found.append(col(Session.region) == filters.region)
    if filters.first is not None:
        found.append(col(Session.starts_at) >= datetime.combine(filters.first, time()))
    if filters.last is not None and filters.last < date.max:
        found.append(col(Session.starts_at) < datetime.combine(filters.last + timedelta(days=1), time()))
    if filters.tour is not None:
        found.append(col(Session.tour_id) == filters.tour)
    found += [col(Session.search).contains(word, autoescape=True) for word in search_text(filters.q).split()]
    if filters.trainer == "none":
        found.append(~_delivers().exists())
    elif filters.trainer:
        found.append(_delivers().where(col(SessionTrainer.trainer_id) == UUID(filters.trainer)).exists())
    return found


def _delivers() -> Any:
    return select(SessionTrainer.session_id).where(col(SessionTrainer.session_id) == col(Session.id))


async def rows_of(db: AsyncSession, ids: Sequence[UUID], home_zone: str, language: str) -> list[SessionRow]:
    """The sessions of `ids`, in that order."""
    found = await queries.records(db, ids)
    names = await trainer_names(db, {id_ for record in found for id_ in record.trainer_ids})
    return [row_of(record, names, home_zone, language) for record in found]


async def coming(db: AsyncSession, now: datetime, region: str, *, until: datetime) -> list[UUID]:
    """Drafts and published sessions that aren't over, by start."""
    conditions = [
        col(Session.status).in_(LIVE),
        col(Session.ends_at_utc) > now,
        col(Session.starts_at_utc) < until,
    ]
    if region:
        conditions.append(col(Session.region) == region)
    found = await db.execute(
        select(Session.id)
        .where(*conditions)
        .order_by(col(Session.starts_at_utc), col(Session.id))
        .limit(1000)
    )
    return list(found.scalars())


async def past_drafts(db: AsyncSession, now: datetime, region: str) -> int:
    """Drafts that can't be published any more: their time is over."""
    conditions = [col(Session.status) == "draft", col(Session.ends_at_utc) <= now]
    if region:
        conditions.append(col(Session.region) == region)
    counted = await db.execute(select(sa.func.count()).select_from(Session).where(*conditions))
    return int(counted.scalar_one())


async def of_week(db: AsyncSession, monday: date, region: str) -> list[UUID]:
    """Sessions that start on one of the seven days from `monday` on, by local start."""
    filters = SessionFilters(first=monday, last=monday + timedelta(days=6), region=region)
    found = await db.execute(
        select(Session.id)
        .where(*_conditions(filters))
        .order_by(col(Session.starts_at), col(Session.starts_at_utc), col(Session.id))
        .limit(500)
    )
    return list(found.scalars())


async def regions_in_use(db: AsyncSession) -> list[str]:
    """The codes of the regions that have sessions or tours."""
    rows = await db.execute(
        sa.union(
            sa.select(col(Session.region)).where(col(Session.region).is_not(None)),
            sa.select(col(Tour.region)).where(col(Tour.region).is_not(None)),
        )
    )
    return sorted(str(row[0]) for row in rows)


# --- Tours ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TourRow:
    """A tour in a list. `first` and `last` are the days of its stops and sessions, None without any."""

    id: UUID
    title: str
    region: str | None
    status: str
    stops: int
    sessions: int
    drafts: int
    first: date | None
    last: date | None
    capacity: int
    taken: int


async def tour_rows(db: AsyncSession, *, q: str, region: str, status: str, page: int) -> list[TourRow]:
    """Tours, the latest first; one row more than PAGE when there are more."""
    stops = (
        sa.select(
            col(Stop.tour_id).label("tour_id"),
            sa.func.count().label("stops"),
            sa.func.min(col(Stop.first_date)).label("first"),
            sa.func.max(col(Stop.last_date)).label("last"),
        )
        .group_by(col(Stop.tour_id))
        .subquery()
    )
    live = col(Session.status) != "cancelled"
    sessions = (
        sa.select(
            col(Session.tour_id).label("tour_id"),
            sa.func.count().filter(live).label("sessions"),
            sa.func.count().filter(col(Session.status) == "draft").label("drafts"),
            sa.func.min(sa.cast(col(Session.starts_at), sa.Date)).label("first"),
            sa.func.max(sa.cast(col(Session.starts_at), sa.Date)).label("last"),
            sa.func.sum(sa.func.coalesce(col(SessionSeats.capacity), _PLANNED))
            .filter(live)
            .label("capacity"),
            sa.func.sum(_TAKEN).filter(live).label("taken"),
        )
        .outerjoin(SessionSeats, col(SessionSeats.session_id) == col(Session.id))
        .group_by(col(Session.tour_id))
        .subquery()
    )
    first = sa.func.least(stops.c.first, sessions.c.first)
    conditions = [
        sa.func.lower(sa.func.unaccent(col(Tour.title))).contains(word, autoescape=True)
        for word in search_text(q).split()
    ]
    if region:
        conditions.append(col(Tour.region) == region)
    if status:
        conditions.append(col(Tour.status) == status)
    rows = await db.execute(
        sa.select(
            col(Tour.id), col(Tour.title), col(Tour.region), col(Tour.status),
            sa.func.coalesce(stops.c.stops, 0), sa.func.coalesce(sessions.c.sessions, 0),
            sa.func.coalesce(sessions.c.drafts, 0), first, sa.func.greatest(stops.c.last, sessions.c.last),
            sa.func.coalesce(sessions.c.capacity, 0), sa.func.coalesce(sessions.c.taken, 0),
        )
        .outerjoin(stops, stops.c.tour_id == col(Tour.id))
        .outerjoin(sessions, sessions.c.tour_id == col(Tour.id))
        .where(*conditions)
        .order_by(first.desc().nulls_first(), col(Tour.title), col(Tour.id))
        .offset((page - 1) * PAGE)
        .limit(PAGE + 1)
    )  # fmt: skip
    return [TourRow(*row) for row in rows]


async def stops_with_venues(db: AsyncSession, tour_id: UUID) -> list[tuple[Stop, Venue]]:
    """A tour's stops in their order."""
    rows = await db.execute(
        sa.select(Stop, Venue)
        .join(Venue, col(Venue.id) == col(Stop.venue_id))
        .where(col(Stop.tour_id) == tour_id)
        .order_by(col(Stop.position), col(Stop.id))
    )
    return [(row[0], row[1]) for row in rows]


async def tour_session_ids(db: AsyncSession, tour_id: UUID) -> list[UUID]:
    """A tour's sessions by start, whatever their status."""
    found = await db.execute(
        select(Session.id)
        .where(col(Session.tour_id) == tour_id)
        .order_by(col(Session.starts_at_utc), col(Session.id))
    )
    return list(found.scalars())


# --- Venues, trainers -------------------------------------------------------------------------------------


async def venues_found(db: AsyncSession, q: str, *, limit: int = 12) -> list[Venue]:
    """Venues by words of their name, town, street or postal code; the first of them in French order."""
    return (await queries.things_page(db, Venue, q=q, limit=limit)).items


async def trainer_names(db: AsyncSession, ids: set[UUID]) -> dict[UUID, str]:
    if not ids:
        return {}
    rows = await db.execute(sa.select(col(Trainer.id), col(Trainer.name)).where(col(Trainer.id).in_(ids)))
    return {row[0]: row[1] for row in rows}


async def all_trainers(db: AsyncSession) -> list[Trainer]:
    """Every trainer by name, in French order; an instance has some dozens."""
    return (await queries.things_page(db, Trainer, limit=MANY)).items


async def trainer_sessions(db: AsyncSession, trainer_id: UUID) -> list[UUID]:
    """What a trainer delivers, by start; cancelled sessions left out."""
    found = await db.execute(
        select(Session.id)
        .join(SessionTrainer, col(SessionTrainer.session_id) == col(Session.id))
        .where(col(SessionTrainer.trainer_id) == trainer_id, col(Session.status) != "cancelled")
        .order_by(col(Session.starts_at_utc), col(Session.id))
    )
    return list(found.scalars())


async def trainers_of(db: AsyncSession, session_id: UUID) -> list[Trainer]:
    """Who delivers a session, by name."""
    found = await db.execute(
        select(Trainer)
        .join(SessionTrainer, col(SessionTrainer.trainer_id) == col(Trainer.id))
        .where(col(SessionTrainer.session_id) == session_id)
        .order_by(sa.func.lower(sa.func.unaccent(col(Trainer.name))), col(Trainer.id))
    )
    return list(found.scalars())


async def clashes_ahead(db: AsyncSession, now: datetime, ids: Sequence[UUID] | None = None) -> list[Clash]:
    """Where a trainer is needed twice from now on: all, or those of the sessions `ids`."""
    found = await queries.trainer_clashes(db, ids)
    return [clash for clash in found if clash.second.ends_at_utc > now]


async def would_clash(db: AsyncSession, session: Session, trainer_ids: Sequence[UUID]) -> list[Clash]:
    """The clashes that each of `trainer_ids` would have if they delivered `session`."""
    near = timedelta(days=2)
    rows = await db.execute(
        sa.select(col(SessionTrainer.trainer_id), Session, Venue)
        .join(Session, col(Session.id) == col(SessionTrainer.session_id))
        .outerjoin(Venue, col(Venue.id) == col(Session.venue_id))
        .where(
            col(SessionTrainer.trainer_id).in_(trainer_ids),
            col(Session.status).in_(LIVE),
            col(Session.id) != session.id,
            col(Session.starts_at_utc) < session.ends_at_utc + near,
            col(Session.ends_at_utc) > session.starts_at_utc - near,
        )
    )
    bookings = [_booking(other, trainer_id, venue) for trainer_id, other, venue in rows]
    venue = await db.get(Venue, session.venue_id) if session.venue_id else None
    bookings += [_booking(session, trainer_id, venue) for trainer_id in trainer_ids]
    return [
        clash
        for clash in clashes(bookings)
        if session.id in (clash.first.session_id, clash.second.session_id)
    ]


def _booking(session: Session, trainer_id: UUID, venue: Venue | None) -> Booking:
    return Booking(
        session_id=session.id,
        trainer_id=trainer_id,
        starts_at_utc=session.starts_at_utc,
        ends_at_utc=session.ends_at_utc,
        place=session.venue_id,
        point=point_of(venue),
    )


def point_of(venue: Venue | None) -> Point | None:
    """Where a venue stands, if that is known."""
    if venue is None or venue.latitude is None or venue.longitude is None:
        return None
    return Point(venue.latitude, venue.longitude)


async def published_at_venue(db: AsyncSession, venue_id: UUID, now: datetime) -> list[UUID]:
    """The published sessions to come at a venue, by start."""
    found = await db.execute(
        select(Session.id)
        .where(
            col(Session.venue_id) == venue_id,
            col(Session.status) == "published",
            col(Session.ends_at_utc) > now,
        )
        .order_by(col(Session.starts_at_utc), col(Session.id))
    )
    return list(found.scalars())


async def in_region(db: AsyncSession, ids: Sequence[UUID], region: str) -> list[UUID]:
    """Those of `ids` whose session is in a region."""
    found = await db.execute(
        select(Session.id).where(col(Session.id).in_(ids), col(Session.region) == region)
    )
    return list(found.scalars())


async def coming_by_trainer(db: AsyncSession, now: datetime, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many sessions each of these trainers still has to deliver."""
    rows = await db.execute(
        sa.select(col(SessionTrainer.trainer_id), sa.func.count())
        .join(Session, col(Session.id) == col(SessionTrainer.session_id))
        .where(
            col(SessionTrainer.trainer_id).in_(ids),
            col(Session.status).in_(LIVE),
            col(Session.ends_at_utc) > now,
        )
        .group_by(col(SessionTrainer.trainer_id))
    )
    return {row[0]: row[1] for row in rows}
