"""Small builders: what a test needs of a thing, and nothing that it doesn't say."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.events.catalogue import create_thing
from services.events.models import Activity, Trainer, Venue


def venue_fields(**changes: Any) -> dict[str, Any]:
    """The body of a venue: a library in Québec."""
    return {
        "name": "Bibliothèque Félix-Leclerc",
        "street": "1465, rue de Montarville",
        "municipality": "Québec",
        "postal_code": "G3K 1A1",
        "latitude": 46.8632,
        "longitude": -71.3571,
        "region": "03",
    } | changes


def session_fields(venue_id: UUID | str | None, **changes: Any) -> dict[str, Any]:
    """The body of a session: two hours in February 2027, 12 seats."""
    return {
        "title": "Reconnaître les fausses nouvelles",
        "stream": "public",
        "theme": "fausses_nouvelles",
        "level": "beginner",
        "language": "fr",
        "modality": "on_site",
        "venue_id": str(venue_id) if venue_id else None,
        "starts_at": "2027-02-03T13:30",
        "ends_at": "2027-02-03T15:30",
        "timezone": "America/Toronto",
        "capacity": 12,
    } | changes


async def a_venue(db: AsyncSession, **changes: Any) -> Venue:
    return await create_thing(db, Venue, venue_fields(**changes))


async def a_trainer(db: AsyncSession, **changes: Any) -> Trainer:
    return await create_thing(db, Trainer, {"name": "Formatrice A"} | changes)


async def an_activity(db: AsyncSession, **changes: Any) -> Activity:
    fields = {"title": "Le courriel, pas à pas", "theme": "courriel", "duration_minutes": 90, "capacity": 10}
    return await create_thing(db, Activity, fields | changes)
