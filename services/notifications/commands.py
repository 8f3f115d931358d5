"""What the team does with the call list: take a call, put it back, write down what came of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.clock import decision_time
from libs.messaging.contracts import RegistrationState
from libs.settings import Settings
from libs.web.i18n import _
from libs.web.problems import Conflict, NotFound
from services.notifications import outcomes, records
from services.notifications.mailing import BY_HAND
from services.notifications.models import CallOutcome, Delivery, RegistrationCopy
from services.notifications.same_person import is_of_the_same, is_open_call
from services.notifications.suppressions import takes_text_messages

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
    """Put the call, and every other one to the same person, into the hands of `initials`.

    So no two desks call the same person, about the same news or not.
    """
    delivery, others = await _calls_to_the_same(tx, id_)
    _must_be_open(delivery)
    now = await decision_time(tx)
    for call in (delivery, *others):
        _must_not_be_taken(call, initials, now)
    for call in (delivery, *others):
        call.claim, call.claimed_until = initials, now + CALL_LASTS


async def put_back(tx: AsyncSession, id_: UUID) -> None:
    """Nobody has the call in hand any more, nor what else there was to tell the same person."""
    delivery, others = await _calls_to_the_same(tx, id_)
    _must_be_open(delivery)
    _let_go(delivery, *(call for call in others if call.claim == delivery.claim))


async def record_outcome(tx: AsyncSession, settings: Settings, id_: UUID, given: OutcomeInput) -> None:
    """Write down what came of a call or letter, and what follows: done, again later, or another route."""
    delivery, others = await _calls_to_the_same(tx, id_)
    if delivery.calls >= given.number:
        return  # the form was sent twice
    _must_be_open(delivery)
    now = await decision_time(tx)
    for call in (delivery, *others):
        _must_not_be_taken(call, given.initials, now)
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
    await records.note(tx, id_, delivery.route, given.outcome)
    contact = (await _state(tx, delivery.registration_id)).contact
    after = outcomes.after(
        given.outcome,
        route=delivery.route,
        tried=delivery.tried_routes,
        contact=contact,
        left=delivery.call_before - now,
        sms=await takes_text_messages(tx, settings, contact),
    )
    await records.move(tx, id_, after, at=now, error=delivery.last_error)
    if after.status != "done":
        # Who wasn't reached can't be told the rest either; whoever is on the line hears all of it.
        _let_go(*(call for call in others if call.claim == given.initials))


def _must_not_be_taken(delivery: Delivery, initials: str, now: datetime) -> None:
    taken = delivery.claim is not None and delivery.claimed_until is not None and delivery.claimed_until > now
    if taken and delivery.claim != initials:
        raise CallTaken(_("Appel en cours par %(initials)s.", initials=delivery.claim))


def _must_be_open(delivery: Delivery) -> None:
    by_hand = delivery.status == "failed" or (delivery.status == "queued" and delivery.route in BY_HAND)
    if not by_hand:
        raise CallOver


def _let_go(*calls: Delivery) -> None:
    for call in calls:
        call.claim = call.claimed_until = None


async def _calls_to_the_same(tx: AsyncSession, id_: UUID) -> tuple[Delivery, list[Delivery]]:
    """The delivery and every other open call to the same person, all locked; raises `NotFound`.

    The same person is who has the same registration or answers one of the same telephone numbers: two who
    share a telephone can't be called at a time either. All are locked in the order of their ids, so that of
    two desks one waits for the other, and sees what it did.
    """
    query = (
        sa.select(Delivery)
        .join(RegistrationCopy, col(RegistrationCopy.id) == col(Delivery.registration_id), isouter=True)
        .where(sa.or_(col(Delivery.id) == id_, sa.and_(is_open_call(), is_of_the_same(id_))))
        .order_by(col(Delivery.id))
        .with_for_update(of=Delivery)
        # What a page has read before the lock may be old.
        .execution_options(populate_existing=True)
    )
    found = list((await tx.scalars(query)).all())
    delivery = next((call for call in found if call.id == id_), None)
    if delivery is None:
        raise NotFound
    return delivery, [call for call in found if call.id != id_]


async def _state(tx: AsyncSession, registration_id: UUID) -> RegistrationState:
    query = sa.select(col(RegistrationCopy.state)).where(col(RegistrationCopy.id) == registration_id)
    return RegistrationState.model_validate((await tx.execute(query)).scalar_one())
