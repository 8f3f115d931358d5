"""Sessions of the country in a list, by filters, in an order, page by page; and one of them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from services.national.figures import COUNTED, SERVING, S, conditions
from services.national.filters import Filters
from services.national.periods import Period

PAGE: Final = 50
SORTS: Final[Mapping[str, Any]] = {
    "date": S.c.starts_at,
    "waiting": S.c.waitlisted,
    "free": S.c.available,
    "taken": S.c.confirmed + S.c.offered,
}
"""What a list can be sorted by, in either direction; the id decides between equals."""


class BadCursor(Exception):
    """The address names a place in the list that can't be read."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as its instance says it. `instance_name` is what the instance calls itself.

    `sequence` and `calendar_domain` are None while the instance hasn't said them.
    """

    id: UUID
    instance: str
    instance_name: str
    calendar_domain: str | None
    epoch: int
    version: int
    status: str
    title: str
    stream: str
    kind: str
    theme: str | None
    level: str | None
    language: str
    modality: str
    delivered_by: str | None
    region: str | None
    starts_at: datetime
    ends_at: datetime
    timezone: str
    starts_at_utc: datetime
    ends_at_utc: datetime
    venue_name: str | None
    municipality: str | None
    province: str | None
    latitude: float | None
    longitude: float | None
    registration_modes: Sequence[str]
    url: str
    opens_at: datetime | None
    cancelled_at: datetime | None
    sequence: int | None
    updated_at: datetime
    planned: int | None
    capacity: int
    confirmed: int
    offered: int
    held: int
    available: int
    waitlisted: int
    by_kind: Mapping[str, Mapping[str, int]]
    seats_updated_at: datetime | None

    @property
    def counted(self) -> bool:
        """Whether its seats have been said: before that, their number is unknown, not zero."""
        return self.seats_updated_at is not None

    @property
    def taken(self) -> int:
        return self.confirmed + self.offered

    @property
    def place(self) -> str | None:
        """« Bibliothèque Félix-Leclerc, Québec »."""
        if not self.venue_name:
            return self.municipality
        told = not self.municipality or self.municipality.casefold() in self.venue_name.casefold()
        return self.venue_name if told else f"{self.venue_name}, {self.municipality}"


@dataclass(frozen=True, slots=True)
class SessionList:
    """One page; `following` is the cursor of the next one. `total` counts all that fit."""

    rows: tuple[SessionRow, ...]
    following: str | None
    total: int


_PULSE = sa.table(
    "pulse", *(sa.column(name) for name in ("instance", "generation", "name", "calendar_domain"))
)
_OF_THE_INSTANCE = ("instance_name", "calendar_domain")
_COLUMNS = [
    *(S.c[name] for name in SessionRow.__dataclass_fields__ if name not in _OF_THE_INSTANCE),
    _PULSE.c.calendar_domain,
]
_NAME = sa.func.coalesce(sa.func.nullif(_PULSE.c.name, ""), S.c.instance).label("instance_name")
_FROM = S.outerjoin(_PULSE, sa.and_(_PULSE.c.instance == S.c.instance, _PULSE.c.generation == S.c.generation))


async def page(
    session: AsyncSession,
    filters: Filters,
    period: Period,
    now: datetime,
    *,
    sort: str = "date",
    cursor: str | None = None,
    limit: int = PAGE,
) -> SessionList:
    """A page of the sessions that fit, cancelled ones too. Raises `BadCursor`."""
    fitting = conditions(filters, period, now)
    key, down = SORTS[sort.removeprefix("-")], sort.startswith("-")
    order = (key.desc(), S.c.id.desc()) if down else (key, S.c.id)
    statement = sa.select(*_COLUMNS, _NAME).select_from(_FROM).where(*fitting).order_by(*order)
    if cursor:
        after = sa.tuple_(*read_cursor(cursor, sort))
        here = sa.tuple_(key, S.c.id)
        statement = statement.where(here < after if down else here > after)
    found = (await session.execute(statement.limit(limit + 1))).mappings().all()
    total = await session.scalar(sa.select(sa.func.count()).select_from(S).where(*fitting))
    rows = tuple(SessionRow(**row) for row in found[:limit])
    following = write_cursor(rows[-1], sort) if len(found) > limit else None
    return SessionList(rows, following, total or 0)


async def find(session: AsyncSession, id_: UUID) -> SessionRow | None:
    """One session of the generation that serves."""
    statement = sa.select(*_COLUMNS, _NAME).select_from(_FROM)
    statement = statement.where(COUNTED, S.c.id == id_, S.c.title.is_not(None))
    row = (await session.execute(statement)).mappings().first()
    return SessionRow(**row) if row else None


async def languages(session: AsyncSession) -> list[str]:
    """The languages in which sessions to come are given, for the filter."""
    statement = sa.text(
        f"select distinct language from session where generation = {SERVING}"  # noqa: S608
        " and starts_at_utc > now() and language is not null order by language"
    )
    return list((await session.scalars(statement)).all())


def write_cursor(row: SessionRow, sort: str) -> str:
    """Where the page that ends with `row` ends, in an order."""
    key = {
        "date": row.starts_at.isoformat(),
        "waiting": str(row.waitlisted),
        "free": str(row.available),
        "taken": str(row.taken),
    }
    return urlsafe_b64encode(f"{key[sort.removeprefix('-')]}|{row.id}".encode()).decode()


def read_cursor(cursor: str, sort: str) -> tuple[Any, Any]:
    """The key and the id after which a page begins."""
    try:
        text, _sep, id_ = urlsafe_b64decode(cursor).decode().rpartition("|")
        key = datetime.fromisoformat(text) if sort.removeprefix("-") == "date" else int(text)
        if isinstance(key, int) and abs(key) >= 2**31:
            raise BadCursor
        if isinstance(key, datetime) and key.tzinfo is not None:
            raise BadCursor
        return sa.literal(key), sa.literal(UUID(id_))
    except ValueError:
        raise BadCursor from None


@dataclass(frozen=True, slots=True)
class ListState:
    """What a list is made of now: another digest as soon as any of its sessions is another."""

    digest: str
    changed_at: datetime | None


async def state(
    session: AsyncSession, filters: Filters, period: Period, now: datetime, *, limit: int
) -> ListState:
    """The state of the first `limit` sessions that fit, without reading them all."""
    said = sa.func.concat_ws(" ", S.c.id, S.c.epoch, S.c.version, _NAME, _PULSE.c.calendar_domain).label(
        "said"
    )
    first = (
        sa.select(said, S.c.updated_at)
        .select_from(_FROM)
        .where(*conditions(filters, period, now))
        .order_by(S.c.starts_at, S.c.id)
        .limit(limit)
        .subquery()
    )
    together = aggregate_order_by(sa.literal(","), first.c.said)
    digest = sa.func.md5(sa.func.string_agg(first.c.said, together))
    row = (await session.execute(sa.select(digest, sa.func.max(first.c.updated_at)))).one()
    return ListState(row[0] or "", row[1])
