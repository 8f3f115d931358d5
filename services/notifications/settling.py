"""What a receipt changes: a text message that arrived is told, one that didn't becomes a call."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.clock import decision_time
from libs.messaging.contracts import Cause, RegistrationState
from libs.settings import Settings
from libs.web.problems import NotFound
from services.notifications import mailing, outcomes, records
from services.notifications.attempts import last_word
from services.notifications.mailing import BY_HAND
from services.notifications.models import Attempt, Delivery, RegistrationCopy
from services.notifications.receipts import Receipt
from services.notifications.sms import is_no_mobile
from services.notifications.suppressions import suppress


async def settle(tx: AsyncSession, settings: Settings, receipt: Receipt) -> None:
    """Write down what became of a text message, whatever the order in which receipts come.

    One that is repeated or late changes nothing, and none takes back what somebody has done by hand
    meanwhile. Raises `NotFound` for a message that isn't ours.
    """
    query = sa.select(Delivery).where(col(Delivery.id) == receipt.id).with_for_update()
    delivery = (await tx.execute(query)).scalar_one_or_none()
    if delivery is None:
        raise NotFound
    if receipt.fate is None or not await _write_down(tx, receipt):
        return
    if receipt.fate == "delivered":
        await _arrived(tx, delivery)
    else:
        await _did_not_arrive(tx, settings, delivery, receipt)


async def _write_down(tx: AsyncSession, receipt: Receipt) -> bool:
    """Keep what the receipt says with the try that it is about; whether it says anything new."""
    assert receipt.fate is not None
    mine = (col(Attempt.delivery_id) == receipt.id, col(Attempt.route) == "sms")
    last = (
        await tx.execute(sa.select(Attempt).where(*mine).order_by(col(Attempt.number).desc()).limit(1))
    ).scalar_one_or_none()
    known = last.result if last is not None and last.settled_at is not None else None
    if not last_word(known, receipt.fate):
        return False
    code = receipt.code or None
    if last is None:
        # The receipt was faster than the gateway's own answer.
        await records.note(tx, receipt.id, "sms", receipt.fate, code=code, settled=True)
    else:
        last.result, last.code, last.settled_at = receipt.fate, code, await decision_time(tx)
    return True


async def _arrived(tx: AsyncSession, delivery: Delivery) -> None:
    under_way = delivery.route == "sms" and delivery.status in ("queued", "superseded")
    called_instead = "sms" in delivery.tried_routes and delivery.status in ("queued", "failed")
    if not under_way and not called_instead:
        return
    now = await decision_time(tx)
    if called_instead:
        delivery.tried_routes = [route for route in delivery.tried_routes if route != "sms"]
        delivery.claim = delivery.claimed_until = None
    delivery.route, delivery.status, delivery.last_error, delivery.sent_at = "sms", "sent", None, now


async def _did_not_arrive(tx: AsyncSession, settings: Settings, delivery: Delivery, receipt: Receipt) -> None:
    found = await tx.get(RegistrationCopy, delivery.registration_id)
    if delivery.route != "sms" or delivery.status not in ("queued", "sent"):
        return
    error = f"SMS undelivered {receipt.code}".strip()
    delivery.last_error = error
    if found is None or delivery.facts is None:
        return  # erased meanwhile: there is nobody to call
    state, cause = RegistrationState.model_validate(found.state), Cause.model_validate(delivery.facts)
    if is_no_mobile(receipt.code) and state.contact.mobile:
        await suppress(tx, settings, state.contact.mobile, error)
    now = await decision_time(tx)
    useless = mailing.is_stale(cause, now) or mailing.is_over(cause, state.status)
    useless = useless or await _is_old(tx, delivery)
    delivery.sent_at = delivery.claim = delivery.claimed_until = None
    if useless:
        delivery.status = "superseded"
        return
    after = outcomes.without("sms", tried=delivery.tried_routes, contact=state.contact)
    delivery.status, delivery.route = after.status, after.route
    delivery.tried_routes, delivery.next_attempt_at = list(after.tried), now
    await tx.flush()
    await records.supersede_untold(tx, delivery.registration_id, delivery.epoch, delivery.version)


async def _is_old(tx: AsyncSession, delivery: Delivery) -> bool:
    """Whether a newer notice says all that a call about this one could: nobody is called about old news."""
    newer = sa.tuple_(col(Delivery.epoch), col(Delivery.version)) > sa.tuple_(
        sa.literal(delivery.epoch), sa.literal(delivery.version)
    )
    by_hand = sa.or_(col(Delivery.status) == "failed", col(Delivery.route).in_(BY_HAND))
    found = await tx.execute(
        sa.select(by_hand).where(
            col(Delivery.registration_id) == delivery.registration_id,
            newer,
            col(Delivery.status) != "superseded",
        )
    )
    return any(
        mailing.overtakes_a_call(delivery.cause, following_by_hand=following) for (following,) in found
    )
