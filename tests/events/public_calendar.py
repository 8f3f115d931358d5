"""Rows for the public calendar, written as they are: for the tests of what people see."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

from libs.clock import zone
from libs.database import Database
from services.events.models import Session, SessionSeats, Stop, Tour, Venue
from services.events.plans import session_search
from services.events.search import search_text

QUEBEC = {"municipality": "Québec", "region": "03", "latitude": 46.7712, "longitude": -71.3}


def venue(name: str = "Bibliothèque Monique-Corriveau", **changes: Any) -> Venue:
    fields: dict[str, Any] = {
        "name": name,
        "street": "1100, route de l’Église",
        "postal_code": "G1V 3V9",
        "phone": "418 555-0199",
        "accessibility": ["step_free", "hearing_loop"],
        **QUEBEC,
    }
    made = Venue(**(fields | changes))
    made.search = search_text(made.name, made.municipality, made.postal_code, made.street)
    return made


def session(at: Venue | None = None, **changes: Any) -> Session:
    """A published session of two hours in ten days, at 13:30; `in_days` and any field may be given."""
    timezone = changes.pop("timezone", "America/Toronto")
    day = datetime.now(zone(timezone)) + timedelta(days=changes.pop("in_days", 10))
    start = changes.pop("starts_at", day.replace(hour=13, minute=30, second=0, microsecond=0, tzinfo=None))
    end = changes.pop("ends_at", start + timedelta(hours=2))
    online = changes.get("modality") == "online"
    fields: dict[str, Any] = {
        "id": uuid4(),
        "title": "Le courriel, pas à pas",
        "stream": "public",
        "theme": "courriel",
        "level": "beginner",
        "modality": "on_site",
        "venue_id": at.id if at else None,
        "region": at.region if at else "03",
        "capacity_on_site": 0 if online else 12,
        "capacity_online": 12 if online else 0,
        "registration_modes": ["web", "phone", "desk"],
        "status": "published",
        "published_at": datetime.now(UTC),
    }
    fields |= changes
    if fields["status"] == "cancelled":
        fields.setdefault("cancelled_at", datetime.now(UTC))
    made = Session(
        **fields,
        timezone=timezone,
        starts_at=start,
        ends_at=end,
        starts_at_utc=start.replace(tzinfo=zone(timezone)).astimezone(UTC),
        ends_at_utc=end.replace(tzinfo=zone(timezone)).astimezone(UTC),
    )
    made.search = session_search(made, at)
    return made


def seats(of: Session, available: int, waitlisted: int = 0, **changes: Any) -> SessionSeats:
    capacity = of.capacity_on_site + of.capacity_online
    fields: dict[str, Any] = {
        "session_id": of.id,
        "epoch": 1,
        "version": 1,
        "capacity": capacity,
        "confirmed": capacity - available,
        "offered": 0,
        "held": 0,
        "available": available,
        "waitlisted": waitlisted,
    }
    return SessionSeats(**(fields | changes))


def tour(title: str = "Tournée d’hiver", **changes: Any) -> Tour:
    return Tour(**({"title": title, "region": "03", "status": "published"} | changes))


def stop(of: Tour, at: Venue, position: int, of_session: Session, **changes: Any) -> Stop:
    day = of_session.starts_at.date()
    fields = {"tour_id": of.id, "venue_id": at.id, "position": position, "first_date": day, "last_date": day}
    return Stop(**(fields | changes))


async def save(database: Database, *rows: object) -> None:
    """Write the rows in their order."""
    async with database.transaction() as db:
        for row in rows:
            db.add(row)
            await db.flush()


def words(html: str) -> str:
    """What a page says, without its tags, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split()).replace(" ,", ",").replace(" .", ".")
