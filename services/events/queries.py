"""What the API and the coordinators read: sessions with what belongs to them, and lists in French order."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.geography import Point
from libs.web.i18n import _
from services.events.inputs import refuse
from services.events.models import (
    Activity,
    Programme,
    Session,
    SessionReach,
    SessionSeats,
    SessionTrainer,
    Tour,
    Trainer,
    Venue,
    metadata,
)
from services.events.planning import Booking, Clash, clashes
from services.events.search import search_text
from services.events.views import Record

Thing = TypeVar("Thing", Programme, Activity, Venue, Trainer, Tour)


@dataclass(frozen=True, slots=True)
class Listed:
    """`next` is the cursor of what follows, None at the end."""

    items: list[Any]
    next: str | None


async def records(db: AsyncSession, ids: Sequence[UUID]) -> list[Record]:
    """The sessions of `ids`, in that order; those that don't exist are left out."""
    rows = await db.execute(
        sa.select(Session, Venue, SessionSeats, SessionReach, Tour)
        .outerjoin(Venue, col(Venue.id) == col(Session.venue_id))
        .outerjoin(SessionSeats, col(SessionSeats.session_id) == col(Session.id))
        .outerjoin(SessionReach, col(SessionReach.session_id) == col(Session.id))
        .outerjoin(Tour, col(Tour.id) == col(Session.tour_id))
        .where(col(Session.id).in_(ids))
    )
    found = {row[0].id: row for row in rows.all()}
    trainers = await _trainers(db, list(found))
    return [
        Record.model_construct(
            session=row[0],
            venue=row[1],
            seats=row[2],
            reach=row[3],
            tour=row[4],
            trainer_ids=trainers.get(row[0].id, []),
            distance_km=None,
        )
        for row in (found[session_id] for session_id in ids if session_id in found)
    ]


async def record(db: AsyncSession, session_id: UUID) -> Record | None:
    """One session with what belongs to it."""
    return next(iter(await records(db, [session_id])), None)


async def tour_records(db: AsyncSession, tour_id: UUID) -> list[Record]:
    """A tour's sessions in the order of their start, whatever their status."""
    return await _ordered(db, col(Session.tour_id) == tour_id)


async def things_page(
    db: AsyncSession,
    kind: type[Thing],
    *,
    q: str = "",
    conditions: Sequence[sa.ColumnElement[bool]] = (),
    after: str | None = None,
    limit: int = 50,
) -> Listed:
    """Programmes, activities, venues, trainers or tours by name, in French order; `q` needs no accents."""
    name = _name(kind)
    order = (sa.func.lower(sa.func.unaccent(name)), name, col(kind.id))
    statement = sa.select(kind, order[0], name).where(*conditions)
    haystack = col(Venue.search) if kind is Venue else order[0]
    for word in search_text(q).split():
        statement = statement.where(haystack.contains(word, autoescape=True))
    if after is not None:
        plain, exact, thing_id = _read_cursor(after)
        bound = sa.tuple_(sa.literal(plain), sa.literal(exact), sa.literal(UUID(thing_id), sa.Uuid))
        statement = statement.where(sa.tuple_(*order) > bound)
    rows = (await db.execute(statement.order_by(*order).limit(limit + 1))).all()
    shown = rows[:limit]
    following = None
    if len(rows) > limit:
        thing, plain, exact = shown[-1]
        following = _cursor(plain, exact, str(thing.id))
    return Listed([row[0] for row in shown], following)


def _name(kind: type[Thing]) -> sa.ColumnElement[str]:
    columns = metadata.tables[str(kind.__tablename__)].c
    return columns["title"] if "title" in columns else columns["name"]


async def trainer_clashes(db: AsyncSession, session_ids: Sequence[UUID] | None = None) -> list[Clash]:
    """Where a trainer is needed twice among drafts and published sessions: all, or those of `session_ids`."""
    rows = await db.execute(
        sa.select(col(SessionTrainer.trainer_id), Session, Venue)
        .join(Session, col(Session.id) == col(SessionTrainer.session_id))
        .outerjoin(Venue, col(Venue.id) == col(Session.venue_id))
        .where(col(Session.status).in_(("draft", "published")))
    )
    bookings = [
        Booking(
            session_id=session.id,
            trainer_id=trainer_id,
            starts_at_utc=session.starts_at_utc,
            ends_at_utc=session.ends_at_utc,
            place=session.venue_id,
            point=_point(venue),
        )
        for trainer_id, session, venue in rows.all()
    ]
    wanted = None if session_ids is None else set(session_ids)
    return [
        clash
        for clash in clashes(bookings)
        if wanted is None or {clash.first.session_id, clash.second.session_id} & wanted
    ]


def _point(venue: Venue | None) -> Point | None:
    if venue is None or venue.latitude is None or venue.longitude is None:
        return None
    return Point(venue.latitude, venue.longitude)


async def _ordered(db: AsyncSession, condition: sa.ColumnElement[bool]) -> list[Record]:
    ids = await db.execute(
        select(Session.id).where(condition).order_by(col(Session.starts_at_utc), col(Session.id))
    )
    return await records(db, list(ids.scalars()))


async def _trainers(db: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    rows = await db.execute(
        select(SessionTrainer.session_id, SessionTrainer.trainer_id)
        .join(Trainer, col(Trainer.id) == col(SessionTrainer.trainer_id))
        .where(col(SessionTrainer.session_id).in_(ids))
        .order_by(col(Trainer.name), col(Trainer.id))
    )
    found: dict[UUID, list[UUID]] = {}
    for session_id, trainer_id in rows.all():
        found.setdefault(session_id, []).append(trainer_id)
    return found


def _cursor(*parts: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def _read_cursor(cursor: str) -> list[str]:
    try:
        parts = orjson.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        )
        if isinstance(parts, list) and len(parts) == 3 and all(isinstance(part, str) for part in parts):
            UUID(parts[-1])
            if not any("\0" in part for part in parts):
                return parts
    except (ValueError, binascii.Error):
        pass
    raise bad_cursor()


def bad_cursor() -> Exception:
    """The refusal of a cursor that no list gave."""
    return refuse("cursor", _("Cette suite n’existe pas. Reprenez la liste au début."))
