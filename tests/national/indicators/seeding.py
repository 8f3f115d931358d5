"""Small builders of the national read model: what a test needs of a country, and nothing more."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from libs.database import Database
from libs.messaging.federated import MINUTES
from services.national.models import (
    Generation,
    Instance,
    InstanceRegion,
    NationalSession,
    Profile,
    Pulse,
    Tally,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
EVERYTHING = {"public": "profile", "pro": "profile"}


@dataclass
class Country:
    """A national database, filled row by row as its ingest would."""

    database: Database

    async def begin(self, number: int = 1, state: str = "serving") -> None:
        await self._add(Generation(number=number, state=state, started_at=NOW, served_at=NOW))

    async def instance(
        self,
        slug: str,
        *regions: str,
        shares: dict[str, str] | None = None,
        silent_for: timedelta | None = timedelta(seconds=10),
        status: str = "active",
        declared: int = 0,
        received: int = 0,
    ) -> None:
        """A registered instance; `silent_for` None: nothing was ever received of it."""
        await self._add(Instance(slug=slug, name=slug.title(), status=status, registered_at=NOW))
        for region in regions:
            await self._add(InstanceRegion(instance=slug, region=region, valid_from=date(2020, 1, 1)))
        if silent_for is not None:
            await self._add(
                Pulse(
                    generation=1,
                    instance=slug,
                    name=slug.title(),
                    received_at=datetime.now(UTC) - silent_for,
                    shares=EVERYTHING if shares is None else shares,
                    streams={"sessions": {"count": declared, "newest_id": None, "newest_at": None}},
                    sessions=received,
                )
            )

    async def session(self, **facts: Any) -> None:
        """A session held in October in region 03, of `nord`, with 12 seats of which 9 were taken."""
        month = facts.get("month", OCTOBER)
        starts = datetime(month.year, month.month, 12, 13, 30)  # noqa: DTZ001
        given: dict[str, Any] = {
            "generation": 1,
            "id": uuid4(),
            "instance": "nord",
            "epoch": 1,
            "version": 1,
            "status": "held",
            "title": "Le courriel",
            "stream": "public",
            "theme": "courriel",
            "language": "fr",
            "modality": "on_site",
            "delivered_by": "library_staff",
            "region": "03",
            "month": month,
            "starts_at": starts,
            "ends_at": starts + timedelta(hours=2),
            "timezone": "America/Toronto",
            "starts_at_utc": starts.replace(tzinfo=UTC) + timedelta(hours=4),
            "ends_at_utc": starts.replace(tzinfo=UTC) + timedelta(hours=6),
            "minutes": 120,
            "venue_id": uuid4(),
            "planned": 12,
            "capacity": 12,
            "confirmed": 9,
            "seats_updated_at": NOW,
        }
        await self._add(NationalSession(**(given | facts)))
        await self.recount()

    async def tally(self, registrations: dict[str, int] | None = None, **facts: Any) -> None:
        """A cell of October, of `nord`, public, about e-mail, by the Web, on site."""
        given: dict[str, Any] = {
            "generation": 1,
            "instance": "nord",
            "epoch": 1,
            "version": 1,
            "month": OCTOBER,
            "region": "03",
            "stream": "public",
            "theme": "courriel",
            "channel": "web",
            "modality": "on_site",
            "registrations": registrations or {},
            "answer_minutes": [],
            "minutes_from_opening": [],
            "as_of": NOW,
        }
        given |= facts
        named = ("month", "region", "stream", "theme", "channel", "modality")
        given["key"] = "/".join(["operational", *(str(given[name] or "-") for name in named)])
        await self._add(Tally(**given))

    async def profile(self, rounded: int, **facts: Any) -> None:
        given: dict[str, Any] = {
            "generation": 1,
            "instance": "nord",
            "epoch": 1,
            "version": 1,
            "month": OCTOBER,
            "region": "03",
            "stream": "public",
            "dimension": "people",
            "value": "",
            "as_of": NOW,
        }
        given |= facts
        given["key"] = "/".join(
            ["profile", *(str(given[n]) for n in ("month", "region", "stream", "dimension", "value"))]
        )
        await self._add(Profile(rounded=rounded, **given))

    async def recount(self) -> None:
        await self.run("delete from session_cell")
        await self.run(
            "insert into session_cell (generation, instance, month, region, stream, theme, modality,"
            " language, status, sessions, with_seats, minutes, planned, capacity, confirmed, offered, held,"
            " available, waitlisted) select generation, instance, month, coalesce(region, ''), stream,"
            " coalesce(theme, ''), modality, language, status, count(*), count(seats_updated_at),"
            " sum(minutes), sum(planned), sum(capacity),"
            " sum(confirmed), sum(offered), sum(held), sum(available), sum(waitlisted)"
            " from session where title is not null group by 1, 2, 3, 4, 5, 6, 7, 8, 9"
        )

    async def run(self, statement: str, **values: Any) -> None:
        async with self.database.transaction() as session:
            await session.execute(sa.text(statement), values)

    async def change_tally(self, registrations: dict[str, int], **which: Any) -> None:
        """What a late correction does to the tallies that `which` names."""
        where = " and ".join(f"{name} = :{name}" for name in which)
        await self.run(
            "update tally set registrations = cast(:registrations as jsonb), version = version + 1"
            f" where {where}",
            registrations=json.dumps(registrations),
            **which,
        )

    async def _add(self, row: Any) -> None:
        async with self.database.transaction() as session:
            session.add(row)


def buckets(**counts: int) -> list[int]:
    """A histogram: `buckets(b3=2)` has two in the fourth bucket."""
    found = [0] * (len(MINUTES) + 1)
    for name, count in counts.items():
        found[int(name[1:])] = count
    return found
