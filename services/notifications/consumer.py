"""What `registrations` says, turned into notices: once per cause, whatever is repeated or reordered."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.clock import decision_time
from libs.messaging.contracts import Payload, RegistrationState
from libs.messaging.envelope import Envelope
from libs.messaging.inbox import Apply, is_news, remember_erased
from libs.messaging.topics import REGISTRATIONS
from libs.settings import Settings
from services.notifications import mailing
from services.notifications.identity import delivery_id, message_id
from services.notifications.mailing import BY_HAND, Key, Known, Notice
from services.notifications.models import CallOutcome, Delivery, Reached, RegistrationCopy
from services.notifications.suppressions import is_suppressed, takes_text_messages


def registrations_handler(settings: Settings) -> Apply:
    """The effect of one `registrations` message: the copy, and the notices that its causes call for."""

    async def apply(session: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
        if payload is None:
            await remember_erased(session, REGISTRATIONS, envelope)
            await _erase(session, UUID(envelope.subject))
            return
        assert isinstance(payload, RegistrationState)
        if not await is_news(session, REGISTRATIONS, envelope):
            return
        current = await _keep_newest(session, envelope, payload)
        if mailing.next_route(current.contact) is None:
            # The erased state, ahead of its tombstone.
            await _forget_notices(session, payload.id)
            return
        await _plan(session, settings, current, payload)

    return apply


async def _keep_newest(
    session: AsyncSession, envelope: Envelope, payload: RegistrationState
) -> RegistrationState:
    """Upsert the copy by (epoch, version) and lock it; returns what is newest now."""
    given = insert(RegistrationCopy).values(
        id=payload.id,
        epoch=envelope.epoch,
        version=envelope.version,
        state=payload.model_dump(mode="json", exclude={"causes"}),
    )
    epoch, version = col(RegistrationCopy.epoch), col(RegistrationCopy.version)
    newer = sa.tuple_(given.excluded.epoch, given.excluded.version) > sa.tuple_(epoch, version)
    await session.execute(
        given.on_conflict_do_update(
            index_elements=["id"],
            set_={name: given.excluded[name] for name in ("epoch", "version", "state")},
            where=newer,
        )
    )
    query = sa.select(col(RegistrationCopy.state)).where(col(RegistrationCopy.id) == payload.id)
    return RegistrationState.model_validate((await session.execute(query.with_for_update())).scalar_one())


async def _plan(
    session: AsyncSession, settings: Settings, current: RegistrationState, payload: RegistrationState
) -> None:
    rows = await session.execute(
        sa.select(
            col(Delivery.epoch),
            col(Delivery.version),
            col(Delivery.cause),
            col(Delivery.status),
            col(Delivery.route),
            col(Delivery.waits_since),
            col(Delivery.due_at),
        ).where(col(Delivery.registration_id) == payload.id)
    )
    known = [
        Known(
            key=(row.epoch, row.version, row.cause),
            open=row.status in ("queued", "failed"),
            by_hand=row.route in BY_HAND or row.status == "failed",
            waits_since=row.waits_since,
            due_at=row.due_at,
        )
        for row in rows
    ]
    now = await decision_time(session)
    route = await _route(session, settings, current)
    plan = mailing.plan(
        payload.causes,
        known,
        route,
        now,
        status=current.status,
        reconfirmed=current.reconfirmed_at is not None,
    )
    if plan.new:
        given = insert(Delivery).values([_row(settings, current, notice, now) for notice in plan.new])
        await session.execute(given.on_conflict_do_nothing())
    for key in plan.superseded:
        await session.execute(_of(payload.id, key).values(status="superseded"))
    for key in plan.hurried:
        await session.execute(_of(payload.id, key).values(due_at=now, next_attempt_at=now))


async def _route(session: AsyncSession, settings: Settings, current: RegistrationState) -> str:
    """The person's own first route; an address that doesn't exist is used only if there is nothing else."""
    contact = current.contact
    gone = {"email"} if contact.email and await is_suppressed(session, settings, contact.email) else set()
    sms = await takes_text_messages(session, settings, contact)
    route = mailing.next_route(contact, gone, sms=sms) or mailing.next_route(contact)
    assert route is not None
    return route


def _row(settings: Settings, current: RegistrationState, notice: Notice, now: datetime) -> dict[str, object]:
    epoch, version, cause = notice.key
    identity = delivery_id(current.id, notice.key)
    return {
        "id": identity,
        "registration_id": current.id,
        "session_id": current.session_id,
        "epoch": epoch,
        "version": version,
        "cause": cause,
        "facts": notice.cause.model_dump(mode="json"),
        "status": "superseded" if notice.superseded else "queued",
        "route": notice.route,
        "message_id": message_id(identity, settings.uid_domain),
        "uid": current.uid,
        "sequence": notice.cause.sequence,
        "waits_since": notice.waits_since,
        "due_at": notice.due_at,
        "next_attempt_at": notice.due_at,
        "call_before": notice.call_before,
        "tried_routes": [],
        "attempts": 0,
        "calls": 0,
        "created_at": now,
    }


def _of(registration_id: UUID, key: Key) -> sa.Update:
    """An update of one notice that nobody was told by yet."""
    epoch, version, cause = key
    return sa.update(Delivery).where(
        col(Delivery.registration_id) == registration_id,
        col(Delivery.epoch) == epoch,
        col(Delivery.version) == version,
        col(Delivery.cause) == cause,
        col(Delivery.status).in_(("queued", "failed")),
    )


async def _erase(session: AsyncSession, registration_id: UUID) -> None:
    await session.execute(
        sa.update(Reached)
        .where(col(Reached.registration_id) == registration_id)
        .values(gone=True, dirty=True)
    )
    await session.execute(sa.delete(RegistrationCopy).where(col(RegistrationCopy.id) == registration_id))
    await _forget_notices(session, registration_id)


async def _forget_notices(session: AsyncSession, registration_id: UUID) -> None:
    """Forget what was told. The bare notices stay, so that a late copy of a cause sends nothing."""
    mine = col(Delivery.registration_id) == registration_id
    await session.execute(
        sa.update(CallOutcome)
        .where(col(CallOutcome.delivery_id).in_(sa.select(col(Delivery.id)).where(mine)))
        .values(note="")
    )
    status = col(Delivery.status)
    await session.execute(
        sa.update(Delivery)
        .where(mine)
        .values(
            facts=None,
            claim=None,
            claimed_until=None,
            status=sa.case((status.in_(("queued", "failed")), "superseded"), else_=status),
        )
    )
