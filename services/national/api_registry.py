"""The registry's changes, for national staff and programs: each is logged with who made it and why."""

from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from libs.messaging.signing import read_key
from libs.web.app import Transaction
from libs.web.auth import NationalStaff, StaffMember
from libs.web.etags import Expected, etag
from libs.web.problems import PreconditionFailed
from services.national import queries, registry
from services.national.api import PREFIX
from services.national.inputs import (
    EpochInput,
    InstanceInput,
    InstancePatch,
    KeyEndInput,
    KeyInput,
    OwnerInput,
    WithReason,
)
from services.national.problems import InstanceUnknown
from services.national.registry import By
from services.national.views import InstanceView, instance_view

router = APIRouter(prefix=PREFIX, tags=["registry"])


@router.post("/instances", status_code=201)
async def register(
    given: InstanceInput, staff: NationalStaff, db: Transaction, response: Response
) -> InstanceView:
    """Make an instance known. What it said before waits in quarantine and is replayed with its key."""
    by = _by(staff, given)
    regions = [region.region_of() for region in given.regions]
    await registry.register(db, by, given.instance, given.name, regions)
    if given.public_key is not None:
        await registry.add_key(db, by, given.instance, read_key(given.public_key), given.valid_from)
    response.headers["Location"] = f"{PREFIX}/instances/{given.instance}"
    return await _shown(db, response, given.instance)


@router.patch("/instances/{instance}")
async def change(
    instance: str,
    given: InstancePatch,
    staff: NationalStaff,
    db: Transaction,
    response: Response,
    expected: Expected,
) -> InstanceView:
    """Rename it, or replace its regions. Needs `If-Match`."""
    by = _by(staff, given)
    await _check_version(db, instance, expected)
    if given.name is not None:
        await registry.rename(db, by, instance, given.name)
    if given.regions is not None:
        await registry.set_regions(db, by, instance, [region.region_of() for region in given.regions])
    return await _shown(db, response, instance)


@router.post("/instances/{instance}/suspend")
async def suspend(
    instance: str, given: WithReason, staff: NationalStaff, db: Transaction, response: Response
) -> InstanceView:
    """Believe nothing of what comes; its figures stay as they are."""
    await registry.suspend(db, _by(staff, given), instance)
    return await _shown(db, response, instance)


@router.post("/instances/{instance}/activate")
async def activate(
    instance: str, given: WithReason, staff: NationalStaff, db: Transaction, response: Response
) -> InstanceView:
    """Believe it again; what came meanwhile is replayed."""
    await registry.activate(db, _by(staff, given), instance)
    return await _shown(db, response, instance)


@router.post("/instances/{instance}/retire")
async def retire(
    instance: str, given: WithReason, staff: NationalStaff, db: Transaction, response: Response
) -> InstanceView:
    """It has ended: its keys end with it, its figures stay."""
    await registry.retire(db, _by(staff, given), instance)
    return await _shown(db, response, instance)


@router.post("/instances/{instance}/confirm-epoch")
async def confirm_epoch(
    instance: str, given: EpochInput, staff: NationalStaff, db: Transaction, response: Response
) -> InstanceView:
    """It was restored from a backup, and its operators say so."""
    await registry.confirm_epoch(db, _by(staff, given), instance, given.epoch)
    return await _shown(db, response, instance)


@router.post("/instances/{instance}/keys", status_code=201)
async def add_key(
    instance: str, given: KeyInput, staff: NationalStaff, db: Transaction, response: Response
) -> InstanceView:
    """Believe what another key signs; it may overlap with the one that it replaces."""
    key = read_key(given.public_key)
    await registry.add_key(db, _by(staff, given), instance, key, given.valid_from, given.valid_until)
    return await _shown(db, response, instance)


@router.post("/instances/{instance}/keys/{key_id}/end")
async def end_key(
    instance: str,
    key_id: str,
    given: KeyEndInput,
    staff: NationalStaff,
    db: Transaction,
    response: Response,
) -> InstanceView:
    """Believe nothing that this key signs from then on; what it signed before stays."""
    await registry.end_key(db, _by(staff, given), instance, key_id, given.valid_until)
    return await _shown(db, response, instance)


@router.post("/instances/{instance}/keys/{key_id}/revoke")
async def revoke_key(
    instance: str, key_id: str, given: WithReason, staff: NationalStaff, db: Transaction, response: Response
) -> InstanceView:
    """Believe nothing that this key has ever signed; a rebuild leaves out what it said before."""
    await registry.revoke_key(db, _by(staff, given), instance, key_id)
    return await _shown(db, response, instance)


@router.post("/sessions/{session_id}/give")
async def give_session(
    session_id: UUID, given: OwnerInput, staff: NationalStaff, db: Transaction, response: Response
) -> InstanceView:
    """Settle whose a session is, where another instance said it first; what that one said of it goes."""
    await registry.give_session(db, _by(staff, given), given.instance, session_id)
    return await _shown(db, response, given.instance)


def _by(staff: StaffMember, given: WithReason) -> By:
    return By(staff.id, given.reason)


async def _check_version(db: AsyncSession, instance: str, expected: int | None) -> None:
    await registry.hold(db)
    rows = await queries.instances(db, instance)
    if not rows:
        raise InstanceUnknown
    if expected is not None and rows[0]["version"] != expected:
        raise PreconditionFailed


async def _shown(db: AsyncSession, response: Response, instance: str) -> InstanceView:
    await db.flush()
    (row,) = await queries.instances(db, instance)
    response.headers["ETag"] = etag(row["version"])
    return instance_view(row)
