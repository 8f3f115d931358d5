"""What can be done with registrations: each command loads under the lock, decides, writes and announces."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import utc_now
from libs.messaging.contracts import SessionState
from libs.settings import Settings
from libs.web.problems import Malformed
from services.registrations import pools, waitlist
from services.registrations.confirmation import new_number
from services.registrations.inputs import RegistrationRequest, professional_details
from services.registrations.models import LIVE, AccommodationRequest, Consent, IdempotencyKey, Registration
from services.registrations.problems import (
    AlreadyOver,
    KeyReused,
    MaybeDuplicate,
    NotOpenYet,
    NoWebRegistration,
    OfferOver,
    RegistrationClosed,
    RegistrationUnknown,
    SeatKindUnknown,
    SessionCancelled,
    SessionFull,
    SessionUnknown,
)
from services.registrations.seating import Seating

By = Literal["person", "staff"]

WORDING = "2026-11"
"""The version of the consent texts in use, kept with each consent."""


@dataclass(frozen=True, slots=True)
class ClientKey:
    """An `Idempotency-Key`, within the route and credential that it was sent with."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True)
class Registered:
    """The answer to a registration; `created` is false when it repeats an earlier one."""

    id: UUID
    session_id: UUID
    status: str
    position: int | None
    confirmation_number: str
    generation: int
    created: bool


async def register(
    tx: AsyncSession,
    settings: Settings,
    session_id: UUID,
    request: RegistrationRequest,
    registration_id: UUID,
    client_key: ClientKey | None = None,
) -> Registered:
    """Register somebody, once: the same key or registration id with the same content answers the same.

    `registration_id` is made before any transaction, so a commit whose outcome is unknown can be looked
    up by it. Raises `SessionUnknown`, `RegistrationClosed`, `NotOpenYet`, `SessionCancelled`,
    `SessionFull`, `MaybeDuplicate`, `KeyReused`, `SeatKindUnknown`, and `Malformed` for a professional
    session without organisation and role.
    """
    if client_key is not None:
        earlier = await _claim(tx, client_key, request, registration_id)
        if earlier is not None:
            return earlier
    seating = await Seating.lock(tx, settings, session_id)
    if seating is None:
        raise SessionUnknown
    existing = await tx.get(Registration, registration_id)
    if existing is not None:
        if existing.content_hash == request.content_hash:
            return await _repeated(seating, existing)
        # The back button, then the spouse's name: a registration of its own, once they have said so.
        if not request.another_person:
            raise MaybeDuplicate
        registration_id = uuid5(registration_id, request.content_hash.hex())
        existing = await tx.get(Registration, registration_id)
        if existing is not None:
            return await _repeated(seating, existing)
    check_open(seating.facts, seating, request.channel)
    seat_kind = _seat_kind(seating.facts, request)
    _check_details(seating.facts, request)
    if not request.another_person and await _somebody_alike(tx, session_id, request):
        raise MaybeDuplicate
    registration = await _admit(seating, settings, request, registration_id, seat_kind)
    position = await seating.position(registration.seq) if registration.status == "waitlisted" else None
    seating.telling.tell(registration, registration.status, position=position)
    await seating.finish()
    if client_key is not None:
        await _settle_claim(tx, client_key, registration, position)
    return _registered(registration, position, created=True)


def check_open(facts: SessionState, seating: Seating, channel: str) -> None:
    """Refuse when the session takes no registration now; it opens at one instant on every channel (S6)."""
    if facts.status == "cancelled":
        raise SessionCancelled
    if seating.is_over or (facts.closes_at is not None and seating.now >= facts.closes_at):
        raise RegistrationClosed
    if set(facts.registration_modes) <= {"drop_in"}:
        raise RegistrationClosed
    if channel == "web" and "web" not in facts.registration_modes:
        raise NoWebRegistration
    if facts.opens_at is not None and seating.now < facts.opens_at:
        raise NotOpenYet(opens_at=facts.opens_at.isoformat())
    if "online" in pools.seat_kinds(facts.modality) and seating.row.online_url is None:
        raise NotOpenYet


async def cancel(
    tx: AsyncSession, settings: Settings, registration_id: UUID, by: By, reason: str | None = None
) -> Registration:
    """Give up a registration; its seat goes to the next person at once. Repeating it changes nothing."""
    seating, registration = await _locked(tx, settings, registration_id)
    if registration.status == "cancelled":
        return registration
    if registration.status not in LIVE or (by == "person" and seating.is_over):
        raise AlreadyOver
    end(seating, registration, "cancelled", f"cancelled_by_{by}", reason=reason)
    await seating.settle()
    await seating.finish()
    return registration


async def accept(tx: AsyncSession, settings: Settings, registration_id: UUID) -> Registration:
    """Take the seat that is kept; possible until the offer's expiry is recorded (rule S3)."""
    seating, registration = await _locked(tx, settings, registration_id)
    if registration.status == "confirmed":
        return registration
    if registration.status != "offered":
        raise OfferOver
    seating.accept(registration)
    _confirm(seating, registration)
    registration.sequence += 1
    seating.telling.tell(registration, "confirmed")
    await seating.finish()
    return registration


async def decline(tx: AsyncSession, settings: Settings, registration_id: UUID) -> Registration:
    """Let the seat that is kept go to the next person."""
    seating, registration = await _locked(tx, settings, registration_id)
    if registration.status == "declined":
        return registration
    if registration.status != "offered":
        raise OfferOver
    end(seating, registration, "declined", "declined")
    await seating.settle()
    await seating.finish()
    return registration


async def revoke_links(tx: AsyncSession, settings: Settings, registration_id: UUID) -> Registration:
    """Make every manage link sent so far worthless; the next message carries a new one."""
    seating, registration = await _locked(tx, settings, registration_id)
    registration.generation += 1
    seating.telling.restate(registration)
    await seating.finish()
    return registration


async def expire_offers(tx: AsyncSession, settings: Settings, session_id: UUID) -> int:
    """Record the offers of a session that nobody answered in time, and ask the next people."""
    seating = await Seating.lock(tx, settings, session_id)
    if seating is None:
        return 0
    late = await tx.scalars(
        select(Registration)
        .where(
            Registration.session_id == session_id,
            Registration.status == "offered",
            col(Registration.offer_expires_at) <= seating.now,
        )
        .order_by(col(Registration.seq))
    )
    expired = list(late)
    for registration in expired:
        end(seating, registration, "expired", "offer_expired")
    await seating.settle()
    await seating.finish()
    return len(expired)


async def release_seats(tx: AsyncSession, settings: Settings, session_id: UUID) -> None:
    """Give the held seats whose date has come to everybody, those who wait first."""
    seating = await Seating.lock(tx, settings, session_id)
    if seating is not None:
        await seating.settle()
        await seating.finish()


def end(
    seating: Seating,
    registration: Registration,
    status: Literal["cancelled", "declined", "expired"],
    cause: str,
    **facts: object,
) -> None:
    """A live registration ends: its seat is free, and a calendar entry that was sent is taken back."""
    if registration.status in ("confirmed", "offered"):
        seating.vacate(registration, "confirmed" if registration.status == "confirmed" else "offered")
    held_invitation = registration.invited
    registration.status = status
    registration.offer_expires_at = None
    registration.ended_at = seating.now
    registration.sequence += 1
    registration.invited = False
    seating.telling.tell(registration, cause, invited=held_invitation, **facts)  # type: ignore[arg-type]


async def _locked(
    tx: AsyncSession, settings: Settings, registration_id: UUID
) -> tuple[Seating, Registration]:
    found = await tx.get(Registration, registration_id)
    seating = await Seating.lock(tx, settings, found.session_id) if found is not None else None
    if found is None or seating is None:
        raise RegistrationUnknown
    # What was read before the lock may have changed while we waited for it.
    await tx.refresh(found)
    return seating, found


async def _admit(
    seating: Seating, settings: Settings, request: RegistrationRequest, id_: UUID, seat_kind: str
) -> Registration:
    """Give the newcomer a seat if nobody eligible waits for it, else a place in the line (rule S2)."""
    await seating.settle()
    pool = waitlist.pool_for(seating.free(), seat_kind, request.channel)
    if pool is None:
        await _check_line(seating)
    registration = _new(seating, settings, request, id_, seat_kind)
    registration.confirmation_number = await _unused_number(seating.tx)
    if pool is None:
        registration.status = "waitlisted"
    else:
        seating.seat(registration, pool, "confirmed")
        _confirm(seating, registration)
    seating.tx.add(registration)
    await seating.tx.flush()
    _add_answers(seating, registration, request)
    return registration


def _new(
    seating: Seating, settings: Settings, request: RegistrationRequest, id_: UUID, seat_kind: str
) -> Registration:
    seating.row.last_seq += 1
    return Registration(
        id=id_,
        session_id=seating.row.id,
        status="pending",
        seat_kind=seat_kind,
        channel=request.channel,
        name=request.name,
        name_key=request.name_key,
        language=request.language,
        **request.contact.model_dump(),
        organisation=request.organisation,
        role=request.role,
        target_groups=list(request.target_groups),
        confirmation_number="",
        seq=seating.row.last_seq,
        uid=f"{id_}@{settings.uid_domain}",
        content_hash=request.content_hash,
        created_at=seating.now,
    )


def _confirm(seating: Seating, registration: Registration) -> None:
    registration.status = "confirmed"
    registration.offer_expires_at = None
    registration.confirmed_at = seating.now
    registration.invited = True


def _add_answers(seating: Seating, registration: Registration, request: RegistrationRequest) -> None:
    for need in dict.fromkeys(request.accommodations):
        seating.tx.add(AccommodationRequest(registration_id=registration.id, need=need))
    for purpose in dict.fromkeys(request.consents):
        seating.tx.add(
            Consent(
                registration_id=registration.id,
                purpose=purpose,
                wording=WORDING,
                channel=request.channel,
                given_at=seating.now,
            )
        )


async def _check_line(seating: Seating) -> None:
    limit = seating.facts.waitlist.limit
    if limit is not None and await seating.waiting() >= limit:
        raise SessionFull


def _seat_kind(facts: SessionState, request: RegistrationRequest) -> str:
    kinds = pools.seat_kinds(facts.modality)
    if request.seat_kind is None or len(kinds) == 1:
        return kinds[0]
    if request.seat_kind not in kinds:
        raise SeatKindUnknown
    return request.seat_kind


def _check_details(facts: SessionState, request: RegistrationRequest) -> None:
    missing = professional_details(request.organisation, request.role) if facts.stream == "pro" else []
    if missing:
        raise Malformed(errors=missing)


async def _somebody_alike(tx: AsyncSession, session_id: UUID, request: RegistrationRequest) -> bool:
    """Whether a live registration has this name and one of these contacts (rule S5)."""
    contact = request.contact
    same_contact: list[sa.ColumnElement[bool]] = [
        sa.type_coerce(column, sa.Text) == value
        for column, value in (
            (sa.func.lower(Registration.email), contact.email and contact.email.lower()),
            (Registration.mobile, contact.mobile),
            (Registration.phone, contact.phone),
            (Registration.postal, contact.postal),
        )
        if value
    ]
    found = await tx.scalar(
        sa.select(col(Registration.id))
        .where(
            col(Registration.session_id) == session_id,
            col(Registration.name_key) == request.name_key,
            col(Registration.status).in_(LIVE),
            sa.or_(*same_contact),
        )
        .limit(1)
    )
    return found is not None


async def _unused_number(tx: AsyncSession) -> str:
    while True:
        number = new_number()
        taken = await tx.scalar(
            sa.select(col(Registration.id)).where(col(Registration.confirmation_number) == number)
        )
        if taken is None:
            return number


async def _claim(
    tx: AsyncSession, client_key: ClientKey, request: RegistrationRequest, registration_id: UUID
) -> Registered | None:
    """Take the key for this registration, or the answer that its first use got.

    Two requests with one key meet in the key's row: the second waits for the first to commit.
    """
    taken = await tx.execute(
        insert(IdempotencyKey)
        .values(
            scope=client_key.scope,
            key=client_key.key,
            body_hash=request.body_hash,
            registration_id=registration_id,
            status="pending",
            created_at=utc_now(),
        )
        .on_conflict_do_nothing()
        .returning(col(IdempotencyKey.key))
    )
    if taken.first() is not None:
        return None
    row = await tx.get_one(IdempotencyKey, (client_key.scope, client_key.key))
    if row.body_hash != request.body_hash:
        raise KeyReused
    registration = await tx.get_one(Registration, row.registration_id)
    return Registered(
        id=registration.id,
        session_id=registration.session_id,
        status=row.status,
        position=row.position,
        confirmation_number=registration.confirmation_number,
        generation=registration.generation,
        created=False,
    )


async def _settle_claim(
    tx: AsyncSession, client_key: ClientKey, registration: Registration, position: int | None
) -> None:
    row = await tx.get_one(IdempotencyKey, (client_key.scope, client_key.key))
    row.registration_id = registration.id
    row.status = registration.status
    row.position = position


async def _repeated(seating: Seating, registration: Registration) -> Registered:
    waits = registration.status == "waitlisted"
    position = await seating.position(registration.seq) if waits else None
    return _registered(registration, position, created=False)


def _registered(registration: Registration, position: int | None, *, created: bool) -> Registered:
    return Registered(
        id=registration.id,
        session_id=registration.session_id,
        status=registration.status,
        position=position,
        confirmation_number=registration.confirmation_number,
        generation=registration.generation,
        created=created,
    )
