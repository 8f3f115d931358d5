"""What the team does with the call list: take a call, put it back, write down what came of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.clock import decision_time
from libs.messaging.contracts import RegistrationState
from libs.web.i18n import _
from libs.web.problems import Conflict, NotFound
from services.notifications import outcomes, records
from services.notifications.models import CallOutcome, Delivery, RegistrationCopy

CALL_LASTS = timedelta(minutes=20)
"""So long is a call somebody's own; then another desk may take it, should the first have been called away."""


class CallTaken(Conflict):
    slug = "call-taken"
    title = _("Une autre personne de l’équipe a pris cet appel")


class CallOver(Conflict):
    slug = "call-over"
    title = _("Cet appel n’est plus à faire")
    detail = _("La personne a été jointe entre-temps, ou sa situation a changé.")


@dataclass(frozen=True, slots=True)
class OutcomeInput:
    """What came of one try. `number` is the one that the form was made for: a form sent twice counts once."""

    outcome: str
    initials: str
    note: str
    number: int


async def take_call(tx: AsyncSession, id_: UUID, initials: str) -> None:
    """Mark the call as in the hands of `initials`, so that two desks don't call the same person."""
    delivery = await _open_call(tx, id_)
    now = await decision_time(tx)
    _must_not_be_taken(delivery, initials, now)
    delivery.claim, delivery.claimed_until = initials, now + CALL_LASTS


async def put_back(tx: AsyncSession, id_: UUID) -> None:
    """Nobody has the call in hand any more."""
    delivery = await _open_call(tx, id_)
    delivery.claim = delivery.claimed_until = None


async def record_outcome(tx: AsyncSession, id_: UUID, given: OutcomeInput) -> None:
    """Write down what came of a call or letter, and what follows: done, again later, or another route."""
    delivery = await _locked(tx, id_)
    if delivery.calls >= given.number:
        return  # the form was sent twice
    _must_be_open(delivery)
    now = await decision_time(tx)
    _must_not_be_taken(delivery, given.initials, now)
    tx.add(
        CallOutcome(
            delivery_id=id_,
            number=delivery.calls + 1,
            route=delivery.route,
            outcome=given.outcome,
            initials=given.initials,
            note=given.note,
            at=now,
        )
    )
    delivery.calls += 1
    await tx.flush()
    contact = (await _state(tx, delivery.registration_id)).contact
    after = outcomes.after(
        given.outcome,
        route=delivery.route,
        tried=delivery.tried_routes,
        contact=contact,
        left=delivery.call_before - now,
    )
    await records.move(tx, id_, after, at=now, error=delivery.last_error)


def _must_not_be_taken(delivery: Delivery, initials: str, now: datetime) -> None:
    taken = delivery.claim is not None and delivery.claimed_until is not None and delivery.claimed_until > now
    if taken and delivery.claim != initials:
        raise CallTaken(_("Appel en cours par %(initials)s.", initials=delivery.claim))


async def _open_call(tx: AsyncSession, id_: UUID) -> Delivery:
    delivery = await _locked(tx, id_)
    _must_be_open(delivery)
    return delivery


def _must_be_open(delivery: Delivery) -> None:
    by_hand = delivery.status == "failed" or (delivery.status == "queued" and delivery.route != "email")
    if not by_hand:
        raise CallOver


async def _locked(tx: AsyncSession, id_: UUID) -> Delivery:
    query = sa.select(Delivery).where(col(Delivery.id) == id_).with_for_update()
    delivery = (await tx.execute(query)).scalar_one_or_none()
    if delivery is None:
        raise NotFound
    return delivery


async def _state(tx: AsyncSession, registration_id: UUID) -> RegistrationState:
    query = sa.select(col(RegistrationCopy.state)).where(col(RegistrationCopy.id) == registration_id)
    return RegistrationState.model_validate((await tx.execute(query)).scalar_one())
