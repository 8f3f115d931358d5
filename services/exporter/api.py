"""The JSON API of exporter, for staff: how much the region shares, and the key that it signs with."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, StringConstraints
from starlette.requests import Request

from libs.messaging.federated import Level, Volet
from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff
from services.exporter import commands, queries
from services.exporter.commands import Decision
from services.exporter.saying import Voice

router = APIRouter(prefix="/api/exporter/v1", tags=["sharing"])

LONGEST_REASON = 500


class SharedVolet(BaseModel):
    """A volet's level now. `settled` false: what left before is still being brought in line.

    `reason`, `decided_by` and `decided_at` are null while nobody has changed the default.
    """

    volet: Volet
    level: Level
    settled: bool
    reason: str | None
    decided_by: str | None
    decided_at: datetime | None


class SharedVolets(BaseModel):
    items: Sequence[SharedVolet]
    next: str | None = None


class NewLevel(BaseModel):
    """`seen`: the level that the decision rests on; another one by now is a 409. Null doesn't ask."""

    volet: Volet
    level: Level
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REASON)]
    seen: Level | None = None


class PublicKey(BaseModel):
    """What national staff register: `public_key` is base64 of 32 bytes, `key_id` follows from it."""

    instance: str
    algorithm: Literal["Ed25519"] = "Ed25519"
    key_id: str
    public_key: str


@router.get("/sharing")
async def show_sharing(reading: Reading, staff: Staff) -> SharedVolets:
    """How much of each volet leaves the region."""
    return SharedVolets(
        items=[
            SharedVolet.model_validate(item, from_attributes=True) for item in await queries.shared(reading)
        ]
    )


@router.put("/sharing")
async def change_sharing(request: Request, tx: Transaction, staff: Staff, body: NewLevel) -> SharedVolets:
    """Share more or less of a volet. What may no longer leave is taken back from the national view."""
    decision = Decision(body.volet, body.level, body.reason, staff.id, body.seen)
    await commands.decide(tx, service_of(request).settings, voice_of(request), decision)
    return await show_sharing(tx, staff)


@router.get("/key")
async def show_key(request: Request, staff: Staff) -> PublicKey:
    """The public key of this instance's signatures."""
    signer = voice_of(request).signer
    return PublicKey(
        instance=service_of(request).settings.instance,
        key_id=signer.key_id,
        public_key=base64.b64encode(signer.public_key).decode(),
    )


def voice_of(request: Request) -> Voice:
    """The voice of the instance that answers `request`."""
    voice: Voice = request.app.state.voice
    return voice
