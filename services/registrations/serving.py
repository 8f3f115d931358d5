"""Served: reading and writing who, of those who asked for a first time's lots, has had a seat this year."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.clock import zone
from libs.messaging.contracts import SessionState
from libs.settings import Settings
from libs.web.tokens import derived_key
from services.registrations.first_time import PURPOSE, programme_year, pseudonyms
from services.registrations.inputs import ways_of
from services.registrations.models import Consent, Registration, Served

_PROGRAMME_ZONE = "America/Toronto"


async def first_times(
    tx: AsyncSession, settings: Settings, facts: SessionState, people: Iterable[Registration]
) -> set[UUID]:
    """The ids of those of `people` who asked for it and aren't known to have had a seat that year."""
    asked = await _who_asked(tx, people)
    known = {person.id: pseudonyms_of(settings, facts, person) for person in asked}
    every = [pseudonym for found in known.values() for pseudonym in found]
    rows = await tx.scalars(sa.select(col(Served.pseudonym)).where(col(Served.pseudonym).in_(every)))
    served = set(rows)
    return {id_ for id_, found in known.items() if served.isdisjoint(found)}


async def note(
    tx: AsyncSession, settings: Settings, facts: SessionState, people: Sequence[Registration]
) -> None:
    """Remember those who came, of those who asked for a first time; forget who, it turns out, didn't."""
    for person in await _who_asked(tx, people):
        year, found = _year(facts), pseudonyms_of(settings, facts, person)
        if person.status == "attended":
            rows = [{"pseudonym": one, "session_id": facts.id, "year": year} for one in found]
            await tx.execute(insert(Served).values(rows).on_conflict_do_nothing())
        else:
            await tx.execute(
                sa.delete(Served).where(col(Served.pseudonym).in_(found), col(Served.session_id) == facts.id)
            )


async def forget_past_years(tx: AsyncSession, now: datetime) -> None:
    """A pseudonym lives as long as its programme year."""
    year = programme_year(now.astimezone(zone(_PROGRAMME_ZONE)).date())
    await tx.execute(sa.delete(Served).where(col(Served.year) < year))


def pseudonyms_of(settings: Settings, facts: SessionState, person: Registration) -> list[bytes]:
    """The person's, in the programme year of a session."""
    key = derived_key(settings.secret, "served")
    return pseudonyms(key, _year(facts), person.name_key, ways_of(person))


def _year(facts: SessionState) -> int:
    return programme_year(facts.starts_at.date())


async def _who_asked(tx: AsyncSession, people: Iterable[Registration]) -> list[Registration]:
    by_id = {person.id: person for person in people}
    rows = await tx.scalars(
        sa.select(col(Consent.registration_id)).where(
            col(Consent.registration_id).in_(by_id),
            col(Consent.purpose) == PURPOSE,
            col(Consent.withdrawn_at).is_(None),
        )
    )
    return [by_id[id_] for id_ in rows]
