"""What the public pages and feeds read: sessions by the calendar's filters, one session, one tour."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from libs.geography import Point
from libs.postal_areas import TOWN_KM
from services.events.calendar_filters import CalendarFilters
from services.events.models import metadata
from services.events.nearby import Nearby
from services.events.public_session import PublicSeats, PublicSession, PublicVenue
from services.events.search import search_text

PAGE = 20
HOME_ZONE = "America/Toronto"
FARTHEST_KM = 200
"""Nobody is helped by a workshop farther away than this."""
KEPT_IN_FEED = timedelta(days=30)
"""How long a feed still shows what is over or cancelled, so that subscribed calendars hear of it."""

_S = metadata.tables["session"]
_V = metadata.tables["venue"]
_T = metadata.tables["tour"]
_SEATS = metadata.tables["session_seats"]
_STOP = metadata.tables["stop"]
_ORDER = (_S.c.starts_at, _S.c.id)
"""As one reads a calendar: by the clock on the wall."""

# PublicSession is the allow-list: what it has no field for is never read from the table.
_SESSION_COLUMNS = tuple(
    item.name for item in fields(PublicSession) if item.name in _S.c and item.name != "registration_modes"
)
_VENUE_COLUMNS = tuple(item.name for item in fields(PublicVenue) if item.name != "accessibility")


@dataclass(frozen=True, slots=True)
class Asked:
    """The calendar's filters, with what they mean now: the place found, the days, the moment.

    `statuses` is what staff and programs may ask for instead of what is to come; drafts are for staff.
    """

    filters: CalendarFilters
    now: datetime
    today: date
    nearby: Nearby | None = None
    statuses: tuple[str, ...] = ()

    @property
    def days(self) -> tuple[date | None, date | None]:
        return self.filters.days(self.today)

    @property
    def looks_back(self) -> bool:
        """Whether a day before today was asked for, so that what is over belongs to the answer."""
        first, last = self.days
        return (first is not None and first < self.today) or (last is not None and last < self.today)


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the cursor of the following page, None at the end."""

    sessions: tuple[PublicSession, ...]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class Matching:
    """A page as ids in their order, with the kilometres from the place asked for, and the cursor."""

    distances: Mapping[UUID, float | None]
    next: str | None


@dataclass(frozen=True, slots=True)
class PublicStop:
    """A stop of a tour with its sessions in their order."""

    id: UUID
    position: int
    venue: PublicVenue
    first_date: date
    last_date: date
    note: str
    sessions: tuple[PublicSession, ...]


@dataclass(frozen=True, slots=True)
class PublicTour:
    """A tour; `others` are its sessions that belong to no stop."""

    id: UUID
    title: str
    status: str
    region: str | None
    description: str
    updated_at: datetime
    stops: tuple[PublicStop, ...]
    others: tuple[PublicSession, ...]


@dataclass(frozen=True, slots=True)
class Freshness:
    """When something public last changed, the zone most sessions are in, the regions with some to come."""

    updated_at: datetime | None
    home_zone: str
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeedState:
    """`digest` changes whenever a session or a venue of the feed does, or one comes or goes."""

    digest: str
    changed_at: datetime | None


class BadCursor(ValueError):
    """Not a cursor that this calendar gave."""


async def calendar_page(
    session: AsyncSession, asked: Asked, cursor: str | None, *, limit: int = PAGE
) -> Page:
    """One page of what `asked` fits, by local start; `BadCursor` for a cursor that isn't ours."""
    conditions = _conditions(asked)
    statement = _following(_statement(asked).where(*conditions), cursor, limit)
    total = (
        await session.execute(sa.select(sa.func.count()).select_from(_from()).where(*conditions))
    ).scalar_one()
    found = [_session(row) for row in (await session.execute(statement)).mappings()]
    more = len(found) > limit
    shown = tuple(found[:limit])
    return Page(shown, total, cursor_of(shown[-1].starts_at, shown[-1].id) if more else None)


async def matching(session: AsyncSession, asked: Asked, cursor: str | None, *, limit: int) -> Matching:
    """Which sessions `calendar_page` would show, for those who read them in another way."""
    columns = sa.select(_S.c.id, _S.c.starts_at, _distance_column(asked)).select_from(_from())
    statement = _following(columns.where(*_conditions(asked)).order_by(*_ORDER), cursor, limit)
    rows = (await session.execute(statement)).all()
    shown, more = rows[:limit], len(rows) > limit
    last = shown[-1] if more else None
    return Matching(
        {row.id: row.distance_km for row in shown}, cursor_of(last.starts_at, last.id) if last else None
    )


def _following(statement: sa.Select[Any], cursor: str | None, limit: int) -> sa.Select[Any]:
    """What comes after `cursor`, and one more than a page to see whether it goes on."""
    if cursor:
        statement = statement.where(sa.tuple_(*_ORDER) > read_cursor(cursor))
    return statement.limit(limit + 1)


async def feed_sessions(session: AsyncSession, asked: Asked) -> tuple[PublicSession, ...]:
    """All that `asked` fits, and for 30 days what is over or was cancelled."""
    statement = _statement(asked).where(*_filters(asked), _in_feed(asked))
    return tuple(_session(row) for row in (await session.execute(statement)).mappings())


async def feed_state(session: AsyncSession, asked: Asked) -> FeedState:
    """What the feed of `asked` is made of now, without reading it all."""
    # PostgreSQL gives a row another xmin with each change, also with those made by hand.
    made_of = sa.func.concat(
        _S.c.id, ":", sa.literal_column("session.xmin"), ":", sa.literal_column("venue.xmin")
    )
    row = (
        await session.execute(
            sa.select(
                sa.func.md5(sa.func.string_agg(made_of, aggregate_order_by(sa.literal(","), _S.c.id))),
                sa.func.max(_S.c.updated_at),
            )
            .select_from(_from())
            .where(*_filters(asked), _in_feed(asked))
        )
    ).one()
    return FeedState(digest=row[0] or "", changed_at=row[1])


async def programme_sessions(session: AsyncSession, asked: Asked) -> tuple[PublicSession, ...]:
    """All that is to come and fits, for a sheet of paper: nothing that is cancelled."""
    statement = _statement(asked).where(*_conditions(asked), _S.c.status == "published")
    return tuple(_session(row) for row in (await session.execute(statement)).mappings())


async def find_session(session: AsyncSession, session_id: UUID) -> PublicSession | None:
    """One session, drafts too: the page decides who may see it."""
    row = (await session.execute(_statement(None).where(_S.c.id == session_id))).mappings().first()
    return _session(row) if row else None


async def alternatives(
    session: AsyncSession, to: PublicSession, now: datetime, *, limit: int = 3
) -> tuple[PublicSession, ...]:
    """Sessions with room that the person may like instead: the same subject first, then the nearest,
    then the soonest. An online session is near to everybody.
    """
    here = _point(to.venue)
    nearby = Nearby(label="", points=(here,)) if here else None
    asked = Asked(CalendarFilters(stream=to.stream, available=True), now, now.date(), nearby)
    far = _distance(nearby) if nearby else sa.literal(None)
    statement = (
        _statement(asked, order=False)
        .where(*_filters(asked, near=False), *_coming(asked), _S.c.id != to.id, _S.c.status == "published")
        .order_by(
            sa.case((_S.c.theme == to.theme, 0), else_=1),
            sa.case((_S.c.kind == to.kind, 0), else_=1),
            sa.case((_S.c.language == to.language, 0), else_=1),
            sa.case((_S.c.opens_at > now, 1), else_=0),
            # In one town nobody minds which is nearer: the sooner one is better.
            sa.func.floor(sa.func.coalesce(far, 0) / TOWN_KM),
            _S.c.starts_at_utc,
        )
        .limit(limit)
    )
    return tuple(_session(row) for row in (await session.execute(statement)).mappings())


async def nearest(session: AsyncSession, asked: Asked, *, limit: int = 3) -> tuple[PublicSession, ...]:
    """When nothing is near the place asked for: what is nearest within a day's journey, the other
    filters kept; if that is nothing either, without them.
    """
    nearby = asked.nearby
    if nearby is None or not nearby.points:
        return ()
    anything = Asked(CalendarFilters(), asked.now, asked.today, nearby)
    for wish in (asked, anything):
        statement = (
            _statement(wish, order=False)
            .where(
                *_filters(wish, near=False),
                *_coming(wish),
                _S.c.status == "published",
                _distance(nearby) <= FARTHEST_KM,
            )
            .order_by(_distance(nearby), _S.c.starts_at_utc)
            .limit(limit)
        )
        rows = (await session.execute(statement)).mappings().all()
        if rows:
            return tuple(_session(row) for row in rows)
    return ()


async def find_tour(session: AsyncSession, tour_id: UUID) -> PublicTour | None:
    """A tour with its stops in their order, drafts too; only announced sessions are in it."""
    tour = (await session.execute(sa.select(_T).where(_T.c.id == tour_id))).mappings().first()
    if tour is None:
        return None
    statement = _statement(None, extra=[_S.c.stop_id]).where(
        _S.c.tour_id == tour_id, _S.c.status.in_(("published", "held", "cancelled")), _announced()
    )
    rows = (await session.execute(statement)).mappings().all()
    stops = (
        await session.execute(
            sa.select(
                *[_STOP.c[name] for name in ("id", "position", "first_date", "last_date", "note")],
                *_venue_columns(),
            )
            .join(_V, _V.c.id == _STOP.c.venue_id)
            .where(_STOP.c.tour_id == tour_id)
            .order_by(_STOP.c.position)
        )
    ).mappings()
    return PublicTour(
        id=tour["id"],
        title=tour["title"],
        status=tour["status"],
        region=tour["region"],
        description=tour["description"],
        updated_at=tour["updated_at"],
        stops=tuple(
            PublicStop(
                id=stop["id"],
                position=stop["position"],
                venue=_venue(stop),
                first_date=stop["first_date"],
                last_date=stop["last_date"],
                note=stop["note"],
                sessions=tuple(_session(row) for row in rows if row["stop_id"] == stop["id"]),
            )
            for stop in stops
        ),
        others=tuple(_session(row) for row in rows if row["stop_id"] is None),
    )


async def freshness(session: AsyncSession) -> Freshness:
    """The calendar as a whole, before any filter."""
    coming = sa.and_(_announced(), _S.c.status == "published", _S.c.ends_at_utc > sa.func.now())
    seats_updated = sa.select(sa.func.max(_SEATS.c.updated_at)).scalar_subquery()
    row = (
        await session.execute(
            sa.select(
                sa.func.greatest(sa.func.max(_S.c.updated_at), seats_updated).label("updated_at"),
                sa.func.mode().within_group(_S.c.timezone).label("home_zone"),
                sa.func.array_agg(_S.c.region.distinct()).filter(coming).label("regions"),
            ).where(_announced())
        )
    ).one()
    regions = sorted(region for region in row.regions or () if region)
    return Freshness(row.updated_at, row.home_zone or HOME_ZONE, tuple(regions))


async def listed(session: AsyncSession) -> tuple[tuple[UUID, datetime], ...]:
    """The ids of the sessions to come with the time of their last change, for the sitemap."""
    rows = await session.execute(
        sa.select(_S.c.id, _S.c.updated_at)
        .where(_S.c.status.in_(("published", "cancelled")), _announced(), _S.c.ends_at_utc > sa.func.now())
        .order_by(_S.c.starts_at_utc, _S.c.id)
        .limit(50_000)  # the protocol's own bound (sitemaps.org)
    )
    return tuple((row.id, row.updated_at) for row in rows)


# Cursors


def cursor_of(starts_at: datetime, session_id: UUID) -> str:
    """Where a page ended: the local start and the id of its last session."""
    return base64.urlsafe_b64encode(f"{starts_at.isoformat()}|{session_id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        start, _bar, session_id = text.partition("|")
        moment = datetime.fromisoformat(start)
        if moment.tzinfo is not None:
            raise BadCursor(cursor)
        return moment, UUID(session_id)
    except (ValueError, binascii.Error) as error:
        raise BadCursor(cursor) from error


# Conditions


def _conditions(asked: Asked) -> list[sa.ColumnElement[bool]]:
    return [*_filters(asked), *_coming(asked)]


def _coming(asked: Asked) -> list[sa.ColumnElement[bool]]:
    """What the calendar shows: announced and not over, unless a past day was asked for."""
    if asked.statuses:
        return [_S.c.status.in_(asked.statuses)]
    if asked.looks_back:
        return [_S.c.status.in_(("published", "held", "cancelled")), _announced()]
    return [
        _S.c.status.in_(("published", "cancelled")),
        _announced(),
        _S.c.ends_at_utc > asked.now,
    ]


def _announced() -> sa.ColumnElement[bool]:
    """A draft that was cancelled was never public."""
    return _S.c.published_at.is_not(None)


def _in_feed(asked: Asked) -> sa.ColumnElement[bool]:
    oldest = asked.now - KEPT_IN_FEED
    going = sa.and_(_S.c.status.in_(("published", "held")), _S.c.ends_at_utc > oldest)
    cancelled = sa.and_(_S.c.status == "cancelled", _S.c.cancelled_at > oldest, _announced())
    return sa.or_(going, cancelled)


def _filters(asked: Asked, *, near: bool = True) -> list[sa.ColumnElement[bool]]:
    chosen = asked.filters
    first, last = asked.days
    day = sa.cast(_S.c.starts_at, sa.Date)
    conditions: list[sa.ColumnElement[bool]] = [
        column == value
        for column, value in (
            (_S.c.theme, chosen.theme),
            (_S.c.stream, chosen.stream),
            (_S.c.language, chosen.language),
            (_S.c.region, chosen.region),
        )
        if value
    ]
    if chosen.modality:
        conditions.append(_S.c.modality.in_(_modalities(chosen.modality)))
    if first:
        # A session of several days is still going on after its first.
        conditions.append(sa.cast(_S.c.ends_at, sa.Date) >= first)
    if last:
        conditions.append(day <= last)
    if chosen.available:
        conditions.append(_has_room(asked.now))
    conditions += [_S.c.search.contains(word, autoescape=True) for word in search_text(chosen.q).split()]
    if near and asked.nearby:
        conditions.append(_is_near(asked.nearby))
    return conditions


def _modalities(chosen: str) -> tuple[str, ...]:
    """Who wants to come, or to stay at home, can do so in a hybrid session too."""
    return (chosen,) if chosen == "hybrid" else (chosen, "hybrid")


def _has_room(now: datetime) -> sa.ColumnElement[bool]:
    """A free seat that can be had now or from a later opening on, or no need for one."""
    seat = sa.and_(
        _SEATS.c.available > 0,
        _S.c.starts_at_utc > now,
        sa.or_(_S.c.closes_at.is_(None), _S.c.closes_at > now),
    )
    drop_in = _S.c.registration_modes == sa.cast(["drop_in"], _S.c.registration_modes.type)
    return sa.and_(_S.c.status == "published", sa.or_(seat, drop_in))


def _is_near(nearby: Nearby) -> sa.ColumnElement[bool]:
    if nearby.region:
        return sa.or_(_S.c.region == nearby.region, _V.c.region == nearby.region)
    return sa.or_(_S.c.modality == "online", _distance(nearby) <= nearby.radius_km)


def _distance(nearby: Nearby) -> sa.ColumnElement[float]:
    """Kilometres from the nearest of the place's points to the venue (haversine); NULL without a point."""
    each = [_haversine(point) for point in nearby.points]
    return each[0] if len(each) == 1 else sa.func.least(*each)


def _haversine(point: Point) -> sa.ColumnElement[float]:
    radians = sa.func.radians
    half_lat = radians(_V.c.latitude - point.latitude) / 2
    half_lon = radians(_V.c.longitude - point.longitude) / 2
    h = sa.func.power(sa.func.sin(half_lat), 2) + sa.func.cos(
        radians(sa.literal(point.latitude))
    ) * sa.func.cos(radians(_V.c.latitude)) * sa.func.power(sa.func.sin(half_lon), 2)
    return 2 * 6371 * sa.func.asin(sa.func.least(1.0, sa.func.sqrt(h)))


# Rows


def _from() -> sa.FromClause:
    return (
        _S.outerjoin(_V, _V.c.id == _S.c.venue_id)
        .outerjoin(_SEATS, _SEATS.c.session_id == _S.c.id)
        .outerjoin(_T, sa.and_(_T.c.id == _S.c.tour_id, _T.c.status.not_in(("draft",))))
    )


def _venue_columns() -> list[sa.ColumnElement[Any]]:
    return [_V.c[name].label(f"venue_{name}") for name in [*_VENUE_COLUMNS, "accessibility"]]


def _statement(
    asked: Asked | None, *, order: bool = True, extra: Sequence[sa.ColumnElement[Any]] = ()
) -> sa.Select[Any]:
    statement = sa.select(
        *[_S.c[name] for name in _SESSION_COLUMNS],
        _S.c.registration_modes,
        _S.c.updated_at.label("changed_at"),
        _T.c.id.label("shown_tour_id"),
        _T.c.title.label("tour_title"),
        *_venue_columns(),
        *[
            _SEATS.c[name].label(f"seats_{name}")
            for name in ("capacity", "available", "held", "waitlisted", "by_kind", "draw", "updated_at")
        ],
        _distance_column(asked),
        *extra,
    ).select_from(_from())
    return statement.order_by(*_ORDER) if order else statement


def _distance_column(asked: Asked | None) -> sa.ColumnElement[Any]:
    nearby = asked.nearby if asked else None
    distance = _distance(nearby) if nearby and nearby.points else sa.null()
    return distance.label("distance_km")


def _session(row: sa.RowMapping) -> PublicSession:
    facts: dict[str, Any] = {name: row[name] for name in _SESSION_COLUMNS}
    facts["tour_id"] = row["shown_tour_id"]
    return PublicSession(
        **facts,
        registration_modes=tuple(row["registration_modes"]),
        changed_at=row["changed_at"],
        tour_title=row["tour_title"],
        venue=_venue(row) if row["venue_id"] else None,
        seats=_seats(row) if row["seats_capacity"] is not None else None,
        distance_km=row["distance_km"],
    )


def _venue(row: sa.RowMapping) -> PublicVenue:
    facts: dict[str, Any] = {name: row[f"venue_{name}"] for name in _VENUE_COLUMNS}
    return PublicVenue(**facts, accessibility=tuple(row["venue_accessibility"]))


def _seats(row: sa.RowMapping) -> PublicSeats:
    names = ("capacity", "available", "held", "waitlisted", "by_kind", "draw", "updated_at")
    return PublicSeats(**{name: row[f"seats_{name}"] for name in names})


def _point(venue: PublicVenue | None) -> Point | None:
    if venue is None or venue.latitude is None or venue.longitude is None:
        return None
    return Point(venue.latitude, venue.longitude)
