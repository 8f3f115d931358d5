"""What operators and programs ask of the national service: instances, sessions, the quarantine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.national.searching import folded

STALE_SECONDS = 120
"""An instance says something every 30 seconds; one that was silent for longer than this can't be heard."""

_INSTANCES = sa.text(
    """
    select slug as instance, instance.name, status, instance.epoch, own, registered_at,
        pulse.received_at as last_seen, pulse.lag, pulse.shares, pulse.software, pulse.url, pulse.streams,
        coalesce(pulse.received_at < clock.decision_time() - make_interval(secs => :stale), true) as stale,
        pulse.sessions, pulse.seats, pulse.tallies,
        (select count(*) from quarantined where quarantined.instance = slug) as quarantined,
        (select coalesce(max(id), 0) from registry_entry where registry_entry.instance = slug) as version,
        (select coalesce(jsonb_agg(jsonb_build_object('key_id', key_id, 'valid_from', valid_from,
                'valid_until', valid_until, 'revoked_at', revoked_at,
                'public_key', encode(public_key, 'base64')) order by valid_from, key_id), '[]')
            from instance_key where instance_key.instance = slug) as keys,
        (select coalesce(jsonb_agg(jsonb_build_object('region', region, 'valid_from', valid_from,
                'valid_until', valid_until) order by region, valid_from), '[]')
            from instance_region where instance_region.instance = slug) as regions
    from instance
    left join pulse on pulse.instance = slug
        and generation = (select number from generation where state = 'serving')
    where cast(:slug as text) is null or slug = :slug
    order by slug
    """
)
_LOG = sa.text(
    "select id, at, who, what, instance, details, reason from registry_entry"
    " where (cast(:slug as text) is null or instance = :slug) and (:before = 0 or id < :before)"
    " order by id desc limit :limit"
)
_QUARANTINE = sa.text(
    "select id, topic, instance, position, key, reason, detail, headers, length(value) as bytes, received_at"
    " from quarantined where (cast(:instance as text) is null or instance = :instance)"
    " and (cast(:reason as text) is null or reason = :reason) and id > :after order by id limit :limit"
)
_REASONS = sa.text(
    "select instance, reason, count(*) as count, max(received_at) as newest from quarantined"
    " group by instance, reason order by instance, reason"
)


async def instances(session: AsyncSession, slug: str | None = None) -> Sequence[sa.RowMapping]:
    """Every registered instance, or one: what the registry says of it, and how it was last heard."""
    found = await session.execute(_INSTANCES, {"slug": slug, "stale": STALE_SECONDS})
    return found.mappings().all()


async def log(session: AsyncSession, slug: str | None, before: int, limit: int) -> Sequence[sa.RowMapping]:
    """The registry's changes, the newest first, before the one numbered `before` (0: from the newest on)."""
    found = await session.execute(_LOG, {"slug": slug, "before": before, "limit": limit})
    return found.mappings().all()


async def quarantined(
    session: AsyncSession, instance: str | None, reason: str | None, after: int, limit: int
) -> Sequence[sa.RowMapping]:
    """What waits in quarantine, in the order of arrival."""
    asked = {"instance": instance, "reason": reason, "after": after, "limit": limit}
    return (await session.execute(_QUARANTINE, asked)).mappings().all()


async def reasons(session: AsyncSession) -> Sequence[sa.RowMapping]:
    """How many messages are in quarantine by instance and reason."""
    return (await session.execute(_REASONS)).mappings().all()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sessions are asked for; `first` and `last` are local days. None: whatever it is."""

    instance: str | None = None
    region: str | None = None
    stream: str | None = None
    theme: str | None = None
    modality: str | None = None
    language: str | None = None
    status: str | None = None
    first: date | None = None
    last: date | None = None
    words: str | None = None


_EQUAL = ("instance", "region", "stream", "theme", "modality", "language", "status")


async def sessions(
    session: AsyncSession, wanted: Wanted, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[sa.RowMapping]:
    """Sessions in the order of their starts, after a place in that order."""
    conditions = ["generation = (select number from generation where state = 'serving')", "title is not null"]
    values: dict[str, Any] = {"limit": limit}
    for name in _EQUAL:
        if getattr(wanted, name):
            conditions.append(f"{name} = :{name}")
            values[name] = getattr(wanted, name)
    if wanted.first:
        # No clock of the earth is further from UTC; the bound is for the index, the wall clock decides.
        conditions.append(
            "starts_at >= :first"
            " and starts_at_utc >= cast(:first as timestamp) at time zone 'UTC' - interval '1 day'"
        )
        values["first"] = wanted.first
    if wanted.last:
        conditions.append(
            "starts_at < cast(:last as date) + 1"
            " and starts_at_utc < cast(:last as timestamp) at time zone 'UTC' + interval '2 days'"
        )
        values["last"] = wanted.last
    for number, word in enumerate(folded(wanted.words or "").split()):
        conditions.append(f"strpos(search, :word{number}) > 0")
        values[f"word{number}"] = word
    if after is not None:
        conditions.append("(starts_at_utc, id) > (:moment, :id)")
        values |= {"moment": after[0], "id": after[1]}
    found = await session.execute(
        sa.text(
            f"select * from session where {' and '.join(conditions)}"  # noqa: S608  # no value stands in it
            " order by starts_at_utc, id limit :limit"
        ),
        values,
    )
    return found.mappings().all()


async def session(db: AsyncSession, id_: UUID) -> sa.RowMapping | None:
    """One session whose facts are known."""
    found = await db.execute(
        sa.text(
            "select * from session where id = :id and title is not null"
            " and generation = (select number from generation where state = 'serving')"
        ),
        {"id": id_},
    )
    return found.mappings().first()


async def health(session: AsyncSession) -> Mapping[str, object]:
    """What stands in quarantine, which generations there are, and whom nobody can hear."""
    counted = await session.execute(sa.text("select reason, count(*) from quarantined group by reason"))
    by_reason = {str(reason): int(count) for reason, count in counted}
    generations = await session.execute(sa.text("select number, state from generation order by number"))
    silent = await session.execute(
        sa.text(
            "select count(*) from instance left join pulse on pulse.instance = slug"
            " and generation = (select number from generation where state = 'serving')"
            " where status = 'active' and coalesce("
            "   pulse.received_at < clock.decision_time() - make_interval(secs => :stale), true)"
        ),
        {"stale": STALE_SECONDS},
    )
    return {
        "quarantined": sum(by_reason.values()),
        "quarantine": by_reason,
        "generations": {str(number): state for number, state in generations},
        "stale_instances": silent.scalar_one(),
    }
