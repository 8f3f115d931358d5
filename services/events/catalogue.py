"""What sessions are made from: programmes, activities, venues and trainers, written and corrected."""

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col, select

from libs.clock import utc_now
from libs.web.i18n import _
from services.events.commands import retell_sessions
from services.events.inputs import (
    ActivityInput,
    Input,
    ProgrammeInput,
    TrainerInput,
    VenueInput,
    read,
    refuse,
)
from services.events.models import Activity, Programme, Session, Trainer, Venue
from services.events.plans import session_search
from services.events.problems import InUse, Stale, UnknownThing
from services.events.search import search_text

Thing = TypeVar("Thing", Programme, Activity, Venue, Trainer)


_INPUTS: Mapping[type[SQLModel], type[Input]] = {
    Programme: ProgrammeInput,
    Activity: ActivityInput,
    Venue: VenueInput,
    Trainer: TrainerInput,
}
"""Each kind's input model names the columns that can be edited."""
_TOLD = {
    "name", "street", "municipality", "province", "postal_code", "phone", "latitude", "longitude",
    "accessibility", "region",
}  # fmt: skip
"""A venue's fields that the sessions' public facts carry."""


async def create_thing(db: AsyncSession, kind: type[Thing], given: Mapping[str, Any]) -> Thing:
    """A new programme, activity, venue or trainer from its input's fields. Raises `Malformed`."""
    fields = read(_INPUTS[kind], given)
    thing = kind(**fields.model_dump())
    await _fill(db, thing, fields)
    db.add(thing)
    await db.flush()
    return thing


async def patch_thing(
    db: AsyncSession,
    instance: str,
    kind: type[Thing],
    thing_id: UUID,
    given: Mapping[str, Any],
    *,
    expected: int | None = None,
) -> Thing:
    """Change some fields; sessions at a venue that changed are announced anew.

    Raises `Stale`, `Malformed`, `UnknownThing`.
    """
    thing = await locked_thing(db, kind, thing_id, expected)
    await _fill(db, thing, read(_INPUTS[kind], editable(thing) | dict(given)))
    if not db.is_modified(thing):
        return thing
    changed = {name for name in _TOLD if isinstance(thing, Venue) and _differs(thing, name)}
    thing.version += 1
    thing.updated_at = utc_now()
    await db.flush()
    if changed:
        await _follow(db, instance, thing_id, thing)
    return thing


async def delete_thing(
    db: AsyncSession, kind: type[Thing], thing_id: UUID, *, expected: int | None = None
) -> None:
    """Remove what nothing refers to. Raises `InUse`, `Stale`, `UnknownThing`."""
    thing = await locked_thing(db, kind, thing_id, expected)
    try:
        async with db.begin_nested():
            await db.delete(thing)
    except IntegrityError as error:
        raise InUse from error


async def locked_thing(db: AsyncSession, kind: type[Thing], thing_id: UUID, expected: int | None) -> Thing:
    """The row under its lock, at the version that was read. Raises `UnknownThing`, `Stale`."""
    found = await db.execute(
        select(kind)
        .where(col(kind.id) == thing_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    thing = found.scalar_one_or_none()
    if thing is None:
        raise UnknownThing
    if expected is not None and thing.version != expected:
        raise Stale(current=editable(thing) | {"id": thing.id, "version": thing.version})
    return thing


def editable(thing: Programme | Activity | Venue | Trainer) -> dict[str, Any]:
    """The fields that its input has, as they are."""
    return {name: getattr(thing, name) for name in _INPUTS[type(thing)].model_fields}


def venue_search(venue: Venue) -> str:
    """What `venue.search` holds."""
    return search_text(venue.name, venue.municipality, venue.street, venue.postal_code)


async def _fill(db: AsyncSession, thing: Programme | Activity | Venue | Trainer, fields: Input) -> None:
    for name in type(fields).model_fields:
        setattr(thing, name, getattr(fields, name))
    if isinstance(thing, Venue):
        thing.search = venue_search(thing)
    programme_id = getattr(thing, "programme_id", None)
    if programme_id is not None and await db.get(Programme, programme_id) is None:
        raise refuse("programme_id", _("Ce programme n’existe pas."))


def _differs(venue: Venue, name: str) -> bool:
    return bool(sa.inspect(venue).attrs[name].history.has_changes())


async def _follow(db: AsyncSession, instance: str, venue_id: UUID, venue: object) -> None:
    """Sessions of a venue take its region and its name along, and say its new facts."""
    assert isinstance(venue, Venue)
    sessions = await db.execute(
        select(Session)
        .where(col(Session.venue_id) == venue_id, col(Session.status).in_(("draft", "published")))
        .order_by(col(Session.id))
        .with_for_update(key_share=True)
    )
    for session in sessions.scalars():
        session.region = venue.region or session.region
        session.search = session_search(session, venue)
    await db.flush()
    await retell_sessions(db, instance, col(Session.venue_id) == venue_id)
