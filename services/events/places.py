"""The towns, libraries and postal codes that « près de » may mean, in memory until a venue changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.geography import Point
from services.events.models import metadata
from services.events.nearby import KnownPlace, Nearby, NotFound, locate

_V = metadata.tables["venue"]
State = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read, and the state of the table then."""

    state: State
    towns: tuple[KnownPlace, ...]
    venues: tuple[KnownPlace, ...]
    postal: tuple[tuple[str, Point], ...]


class Places:
    """Finds the place that somebody typed, among the instance's venues and Québec's postal codes."""

    def __init__(self) -> None:
        self._known: _Known | None = None

    async def find(self, session: AsyncSession, text: str) -> Nearby | NotFound:
        known, state = self._known, await _state(session)
        if known is None or known.state != state:
            known = self._known = await _read(session, state)
        return locate(text, known.towns, known.venues, known.postal)


async def _state(session: AsyncSession) -> State:
    """Another one after each change: PostgreSQL numbers the transactions that wrote the rows."""
    written_by: sa.ColumnElement[int] = sa.literal_column("xmin::text::bigint", sa.BigInteger)
    row = (await session.execute(sa.select(sa.func.count(), sa.func.sum(written_by)).select_from(_V))).one()
    return row[0], row[1]


async def _read(session: AsyncSession, state: State) -> _Known:
    names = ("name", "municipality", "province", "postal_code", "latitude", "longitude")
    statement = sa.select(*[_V.c[name] for name in names]).where(_V.c.latitude.is_not(None))
    rows = (await session.execute(statement)).all()
    points = [(row, Point(row.latitude, row.longitude)) for row in rows]
    return _Known(
        state,
        towns=_towns(rows),
        venues=tuple(
            KnownPlace(row.name, _town(row.municipality, row.province), point) for row, point in points
        ),
        postal=tuple((row.postal_code, point) for row, point in points if row.postal_code),
    )


def _towns(rows: Sequence[Any]) -> tuple[KnownPlace, ...]:
    """Each town once, in the middle of its venues."""
    points: dict[tuple[str, str], list[Point]] = {}
    for row in rows:
        if row.municipality:
            points.setdefault((row.municipality, row.province), []).append(Point(row.latitude, row.longitude))
    return tuple(
        KnownPlace(name, _town(name, province), _middle(of)) for (name, province), of in points.items()
    )


def _town(municipality: str | None, province: str) -> str:
    if not municipality:
        return ""
    return municipality if province == "CA-QC" else f"{municipality} ({province.rpartition('-')[2]})"


def _middle(points: Sequence[Point]) -> Point:
    return Point(
        sum(point.latitude for point in points) / len(points),
        sum(point.longitude for point in points) / len(points),
    )
