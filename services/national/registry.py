"""The registry of instances: who may speak, with which keys, for which regions; every change has its reason.

Each function is a decision of national staff and writes a line into the log with it. Whatever had come too
early for it waits in quarantine and is replayed (see `quarantine`).
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.clock import decision_time
from libs.database import Database
from libs.messaging.signing import key_id_of
from libs.settings import Settings
from services.national import forgetting
from services.national.believing import LARGEST_EPOCH, Key, Known, Region, Registry
from services.national.models import Instance, InstanceKey, InstanceRegion, RegistryEntry
from services.national.problems import (
    EpochNotNewer,
    InstanceKnown,
    InstanceUnknown,
    KeyKnown,
    KeyUnknown,
    NotASlug,
    NothingChanges,
)

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,30}")
_ONE_AT_A_TIME = 7_310_403
"""The advisory lock that makes the numbers of the log rise in the order of commits."""

READ = """
select json_build_object(
    'version', (select coalesce(max(id), 0) from registry_entry),
    'instances', (
        select json_agg(json_build_object(
            'slug', slug, 'status', status, 'epoch', epoch, 'own', own,
            'keys', (
                select json_agg(json_build_object('id', key_id, 'key', encode(public_key, 'hex'),
                    'from', valid_from, 'until', valid_until, 'revoked', revoked_at))
                from instance_key where instance = slug
            ),
            'regions', (
                select json_agg(json_build_object('code', region, 'from', valid_from, 'until', valid_until))
                from instance_region where instance = slug
            )
        )) from instance
    )
)
"""
VERSION = "select coalesce(max(id), 0) from registry_entry"


@dataclass(frozen=True, slots=True)
class By:
    """Who makes a change, and why."""

    who: str
    reason: str


def snapshot(read: str) -> tuple[int, Registry]:
    """The registry's version, and the registry, from the JSON that `READ` gives."""
    found = orjson.loads(read)
    return found["version"], {one["slug"]: _known(one) for one in found["instances"] or ()}


def _known(one: dict[str, Any]) -> Known:
    keys = {
        key["id"]: Key(
            bytes.fromhex(key["key"]), _moment(key["from"]), _maybe(key["until"]), _maybe(key["revoked"])
        )
        for key in one["keys"] or ()
    }
    regions = [
        Region(
            region["code"],
            date.fromisoformat(region["from"]),
            date.fromisoformat(region["until"]) if region["until"] else None,
        )
        for region in one["regions"] or ()
    ]
    epoch = None if one["own"] else one["epoch"]
    return Known(suspended=one["status"] == "suspended", epoch=epoch, keys=keys, regions=regions)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


async def register(
    session: AsyncSession, by: By, slug: str, name: str, regions: Sequence[Region] = (), *, own: bool = False
) -> None:
    """Make an instance known. Nothing is believed of it before it has a key."""
    if not _SLUG.fullmatch(slug):
        raise NotASlug
    now = await _locked(session)
    if await session.get(Instance, slug) is not None:
        raise InstanceKnown
    session.add(Instance(slug=slug, name=name, own=own, registered_at=now))
    await session.flush()
    await _replace_regions(session, slug, regions)
    _log(session, by, now, "registered", slug, name=name, regions=[asdict(region) for region in regions])


async def rename(session: AsyncSession, by: By, slug: str, name: str) -> None:
    now = await _locked(session)
    instance = await _instance(session, slug)
    _log(session, by, now, "renamed", slug, before=instance.name, after=name)
    instance.name = name


async def set_regions(session: AsyncSession, by: By, slug: str, regions: Sequence[Region]) -> None:
    """The regions that an instance may speak for, each with its days; none at all means every region."""
    now = await _locked(session)
    await _instance(session, slug)
    await _replace_regions(session, slug, regions)
    _log(session, by, now, "regions", slug, regions=[asdict(region) for region in regions])


async def add_key(
    session: AsyncSession,
    by: By,
    slug: str,
    public_key: bytes,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
) -> str:
    """Believe what this key signs, from now on unless another instant is given; its id.

    A key that replaces another may overlap with it. `valid_from` may lie in the past: what an instance
    signed before it was registered is believed then.
    """
    now = await _locked(session)
    await _instance(session, slug)
    key_id = key_id_of(public_key)
    if await session.get(InstanceKey, (slug, key_id)) is not None:
        raise KeyKnown
    starts = valid_from or now
    session.add(
        InstanceKey(
            instance=slug, key_id=key_id, public_key=public_key, valid_from=starts, valid_until=valid_until
        )
    )
    _log(session, by, now, "key-added", slug, key_id=key_id, valid_from=starts, valid_until=valid_until)
    return key_id


async def end_key(
    session: AsyncSession, by: By, slug: str, key_id: str, valid_until: datetime | None = None
) -> None:
    """Believe nothing that this key signs from now on, or from `valid_until`; what it signed before stays."""
    now = await _locked(session)
    key = await _key(session, slug, key_id)
    key.valid_until = valid_until or now
    _log(session, by, now, "key-ended", slug, key_id=key_id, valid_until=key.valid_until)


async def revoke_key(session: AsyncSession, by: By, slug: str, key_id: str) -> None:
    """Believe nothing that this key has ever signed: somebody else may have it.

    The figures keep what it said until the next rebuild, which leaves it out.
    """
    now = await _locked(session)
    key = await _key(session, slug, key_id)
    if key.revoked_at is not None:
        raise NothingChanges
    key.revoked_at = now
    _log(session, by, now, "key-revoked", slug, key_id=key_id)


async def suspend(session: AsyncSession, by: By, slug: str) -> None:
    """Believe nothing of what comes, until it is activated again. Its figures stay as they are."""
    await _set_status(session, by, slug, "suspended")


async def activate(session: AsyncSession, by: By, slug: str) -> None:
    """Believe it again, with the keys that are valid."""
    await _set_status(session, by, slug, "active")


async def retire(session: AsyncSession, by: By, slug: str) -> None:
    """It has ended: its keys end with it, and what they signed before stays in the figures."""
    now = await _set_status(session, by, slug, "retired")
    await session.execute(
        sa.update(InstanceKey)
        .where(
            sa.column("instance") == slug,
            sa.or_(sa.column("valid_until").is_(None), sa.column("valid_until") > now),
        )
        .values(valid_until=now)
    )


async def confirm_epoch(session: AsyncSession, by: By, slug: str, epoch: int) -> None:
    """The instance was restored from a backup, and its operators say so: its new epoch is believed."""
    now = await _locked(session)
    instance = await _instance(session, slug)
    if not instance.epoch < epoch <= LARGEST_EPOCH:
        raise EpochNotNewer
    _log(session, by, now, "epoch-confirmed", slug, before=instance.epoch, after=epoch)
    instance.epoch = epoch


async def give_session(session: AsyncSession, by: By, slug: str, session_id: UUID) -> None:
    """Settle whose a session is, after another instance said it first: what that one said of it goes."""
    now = await _locked(session)
    await _instance(session, slug)
    found = await session.execute(
        sa.text(
            "update session_owner set instance = :slug where session_id = :id and instance <> :slug"
            " returning (select instance from session_owner where session_id = :id)"
        ),
        {"slug": slug, "id": session_id},
    )
    before = found.scalar()
    if before is None:
        raise NothingChanges
    await forgetting.forget_session(session, before, session_id)
    _log(session, by, now, "session-given", slug, session_id=str(session_id), before=before)


async def register_own(database: Database, settings: Settings, public_key: bytes) -> None:
    """Make the instance that this national view belongs to known to it, with its key; nothing the next time.

    What national staff have decided about it since, a suspension or a revoked key, stays.
    """
    by = By("start", "Instance de ce service national")
    key_id = key_id_of(public_key)
    async with database.transaction() as session:
        await _locked(session)
        instance = await session.get(Instance, settings.instance)
        if instance is None:
            await register(session, by, settings.instance, settings.instance_name, own=True)
        elif not instance.own:
            return
        if await session.get(InstanceKey, (settings.instance, key_id)) is None:
            # What it has signed already waits in the streams.
            await add_key(session, by, settings.instance, public_key, valid_from=BEFORE_ALL)


async def hold(session: AsyncSession) -> None:
    """Nobody else changes the registry until the commit: what is read now is still so then."""
    await _locked(session)


BEFORE_ALL = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
"""From when on a key is believed whatever it signed."""


async def _locked(session: AsyncSession) -> datetime:
    """Nobody else changes the registry until the commit; the time at which it changes."""
    await session.execute(sa.text("select pg_advisory_xact_lock(:number)"), {"number": _ONE_AT_A_TIME})
    return await decision_time(session)


async def _instance(session: AsyncSession, slug: str) -> Instance:
    instance = await session.get(Instance, slug, populate_existing=True)
    if instance is None:
        raise InstanceUnknown
    return instance


async def _key(session: AsyncSession, slug: str, key_id: str) -> InstanceKey:
    await _instance(session, slug)
    key = await session.get(InstanceKey, (slug, key_id), populate_existing=True)
    if key is None:
        raise KeyUnknown
    return key


async def _set_status(session: AsyncSession, by: By, slug: str, status: str) -> datetime:
    now = await _locked(session)
    instance = await _instance(session, slug)
    if instance.status == status:
        raise NothingChanges
    _log(session, by, now, status, slug, before=instance.status)
    instance.status = status
    return now


async def _replace_regions(session: AsyncSession, slug: str, regions: Sequence[Region]) -> None:
    await session.execute(sa.delete(InstanceRegion).where(sa.column("instance") == slug))
    for region in set(regions):
        session.add(
            InstanceRegion(
                instance=slug,
                region=region.code,
                valid_from=region.valid_from,
                valid_until=region.valid_until,
            )
        )
    await session.flush()


def _log(session: AsyncSession, by: By, now: datetime, what: str, slug: str, **details: object) -> None:
    session.add(
        RegistryEntry(at=now, who=by.who, what=what, instance=slug, details=details, reason=by.reason)
    )
