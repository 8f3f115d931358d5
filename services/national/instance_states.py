"""What is known of each instance: how it is heard, what it shares, what is missing, what isn’t believed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.national.believing import Reason
from services.national.figures import SERVING
from services.national.freshness import Heard, Standing

STREAMS: Final = ("sessions", "seats", "tallies")


@dataclass(frozen=True, slots=True)
class Received:
    """How much of a stream is here, and how much the instance says there is; None: it hasn't said."""

    stream: str
    here: int
    declared: int | None

    @property
    def complete(self) -> float | None:
        """In hundredths; more than is declared is still all of it: it may have been said since."""
        return min(100.0, self.here * 100 / self.declared) if self.declared else None


@dataclass(frozen=True, slots=True)
class Refused:
    """Messages that weren't believed, for one reason."""

    reason: str
    count: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an instance and when what it signs is believed."""

    key_id: str
    valid_from: datetime
    valid_until: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> str:
        if self.revoked_at is not None:
            return "revoked"
        if self.valid_from > now:
            return "later"
        return "expired" if self.valid_until is not None and self.valid_until <= now else "valid"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A region that an instance may speak for, from a day on, until the day before `until`."""

    region: str
    since: date
    until: date | None


@dataclass(frozen=True, slots=True)
class InstanceState:
    """All of it. `now` is the database's time."""

    heard: Heard
    now: datetime
    software: str
    lag: int | None
    received: Sequence[Received]
    refused: Sequence[Refused] = ()
    keys: Sequence[Key] = ()
    regions: Sequence[Spoken] = ()

    @property
    def standing(self) -> Standing:
        return self.heard.standing(self.now)

    @property
    def silence(self) -> timedelta | None:
        return self.heard.silence(self.now) if self.heard.received_at else None

    @property
    def quarantined(self) -> int:
        return sum(one.count for one in self.refused)

    @property
    def waits_for_confirmation(self) -> bool:
        """Whether it says that it was restored. Its heartbeat of the new epoch isn't believed either."""
        return any(one.reason == Reason.UNCONFIRMED_EPOCH for one in self.refused)

    @property
    def complete(self) -> float | None:
        """Of the streams that are declared, the least complete."""
        return min((one.complete for one in self.received if one.complete is not None), default=None)


@dataclass(frozen=True, slots=True)
class States:
    """Every registered instance, and the messages on topics that nobody is registered for."""

    now: datetime
    instances: Sequence[InstanceState]
    strangers: Mapping[str, Sequence[Refused]] = field(default_factory=dict)


_INSTANCES = sa.text(
    f"""
    select clock.decision_time() as now, instance.slug, instance.status,
        pulse.received_at, pulse.shares, pulse.software, pulse.lag, pulse.streams,
        pulse.sessions, pulse.seats, pulse.tallies, coalesce(pulse.url, '') as url,
        coalesce(nullif(pulse.name, ''), instance.name) as name
    from (select 1) as always
    left join instance on true
    left join pulse on pulse.instance = instance.slug and pulse.generation = {SERVING}
    order by instance.status = 'retired', name
    """  # noqa: S608  # no value stands in it
)
_REFUSED = sa.text(
    "select instance, reason, count(*) as count, max(received_at) as newest from quarantined"
    " group by instance, reason order by instance, count desc, reason"
)


async def states(session: AsyncSession) -> States:
    """Every instance; the keys and regions of each too."""
    rows = (await session.execute(_INSTANCES)).mappings().all()
    refused: dict[str, list[Refused]] = defaultdict(list)
    for row in (await session.execute(_REFUSED)).mappings():
        refused[row["instance"]].append(Refused(row["reason"], row["count"], row["newest"]))
    keys, regions = await _keys(session), await _regions(session)
    known = [row for row in rows if row["slug"] is not None]
    instances = [
        _state(row, refused.pop(row["slug"], []), keys[row["slug"]], regions[row["slug"]]) for row in known
    ]
    return States(rows[0]["now"], instances, dict(refused))


def _state(
    row: Mapping[Any, Any], refused: Sequence[Refused], keys: Sequence[Key], regions: Sequence[Spoken]
) -> InstanceState:
    declared = row["streams"] or {}
    heard = Heard(
        slug=row["slug"],
        name=row["name"],
        status=row["status"],
        received_at=row["received_at"],
        regions=frozenset(one.region for one in regions),
        shares=row["shares"] or {},
        url=row["url"],
    )
    return InstanceState(
        heard=heard,
        now=row["now"],
        software=row["software"] or "",
        lag=row["lag"],
        received=[Received(name, row[name] or 0, declared.get(name, {}).get("count")) for name in STREAMS],
        refused=refused,
        keys=keys,
        regions=regions,
    )


async def _keys(session: AsyncSession) -> Mapping[str, list[Key]]:
    found: dict[str, list[Key]] = defaultdict(list)
    statement = sa.text(
        "select instance, key_id, valid_from, valid_until, revoked_at from instance_key"
        " order by valid_from desc, key_id"
    )
    for row in (await session.execute(statement)).mappings():
        found[row["instance"]].append(
            Key(row["key_id"], row["valid_from"], row["valid_until"], row["revoked_at"])
        )
    return found


async def _regions(session: AsyncSession) -> Mapping[str, list[Spoken]]:
    found: dict[str, list[Spoken]] = defaultdict(list)
    statement = sa.text(
        "select instance, region, valid_from, valid_until from instance_region order by region, valid_from"
    )
    for row in (await session.execute(statement)).mappings():
        found[row["instance"]].append(Spoken(row["region"], row["valid_from"], row["valid_until"]))
    return found
