"""What people are told: the causes of a transaction, recorded and announced together at its end."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.messaging import topics
from libs.messaging.bus import Message
from libs.messaging.contracts import (
    Alternative,
    Cause,
    ContactDetails,
    DrawFacts,
    RegistrationState,
    SessionFacts,
    SessionState,
)
from libs.messaging.envelope import pack
from libs.messaging.outbox import announce_all, current_epoch
from libs.opening_hours import Ranges
from libs.settings import Settings
from services.registrations.models import Registration, RegistrationCause, SessionCopy
from services.registrations.offers import counts_office_hours
from services.registrations.office_hours import office_of_json

KEPT = timedelta(days=14)
"""A message repeats the causes of this long, so that compaction of the stream loses none."""


def session_facts(facts: SessionState, settings: Settings, *, online_url: str | None = None) -> SessionFacts:
    """A session as a notice tells it; give the room link for confirmed people only."""
    return SessionFacts(
        **facts.model_dump(include=set(SessionFacts.model_fields)),
        url=f"{settings.base_url}/seances/{facts.id}",
        online_url=online_url,
    )


def draw_url(settings: Settings, session_id: UUID) -> str:
    """The public page of a session's draw."""
    return f"{settings.base_url}/tirage/{session_id}"


class Telling:
    """Collects causes while a session is locked; `finish` writes them and announces each registration."""

    def __init__(self, tx: AsyncSession, settings: Settings, row: SessionCopy, now: datetime) -> None:
        self._tx = tx
        self.settings = settings
        self._row = row
        self._now = now
        self._told: dict[UUID, tuple[Registration, list[Cause]]] = {}
        self._forgotten: set[UUID] = set()

    def tell(
        self,
        registration: Registration,
        cause: str,
        *,
        position: int | None = None,
        reason: str | None = None,
        previous: SessionFacts | None = None,
        alternatives: Sequence[Alternative] = (),
        invited: bool | None = None,
        tickets: int | None = None,
        ends_wait: bool = False,
        silence_frees: bool = False,
    ) -> None:
        """The registration has changed because of `cause`; its row already says the new state.

        `tickets`: how many were drawn, when the draw is what brought the change.
        """
        registration.version += 1
        entry = Cause(
            epoch=0,  # set at the end, when it is read
            version=registration.version,
            cause=cause,
            at=self._now,
            status=registration.status,
            sequence=registration.sequence,
            invited=registration.invited if invited is None else invited,
            seat_kind=registration.seat_kind,
            position=position,
            offer_expires_at=registration.offer_expires_at,
            office_week=self._office_week(registration) if cause == "offered" else None,
            silence_frees=silence_frees,
            reason=reason,
            session=self.facts_for(registration),
            previous=previous,
            alternatives=tuple(alternatives),
            draw=self._draw_facts(registration, tickets),
            ends_wait=ends_wait,
        )
        self._told.setdefault(registration.id, (registration, []))[1].append(entry)

    def restate(self, registration: Registration) -> None:
        """The registration has changed in a way that nobody is told of."""
        registration.version += 1
        self._told.setdefault(registration.id, (registration, []))

    def forget(self, registration: Registration) -> None:
        """The person is erased: the next messages say the erased state, then a tombstone."""
        self.restate(registration)
        registration.version += 1
        self._forgotten.add(registration.id)

    def facts_for(self, registration: Registration, facts: SessionState | None = None) -> SessionFacts:
        """The session as this person may know it: the room link goes with a confirmed online seat."""
        facts = facts or SessionState.model_validate(self._row.facts)
        has_link = registration.status == "confirmed" and registration.seat_kind == "online"
        return session_facts(facts, self.settings, online_url=self._row.online_url if has_link else None)

    def _draw_facts(self, registration: Registration, tickets: int | None) -> DrawFacts | None:
        """For who waits for the draw, and for whom it has just placed."""
        drawn = SessionState.model_validate(self._row.facts).waitlist.drawn
        if drawn is None or (registration.status != "pending" and tickets is None):
            return None
        return DrawFacts(
            ticket=registration.seq,
            closes_at=drawn.closes_at,
            url=draw_url(self.settings, self._row.id),
            rank=registration.draw_rank,
            tickets=tickets,
        )

    def _office_week(self, registration: Registration) -> tuple[Ranges, ...] | None:
        """The team's hours, where the offer that is made now is counted in them."""
        end = registration.offer_expires_at
        if end is None or not registration.by_hand or self._row.office is None:
            return None
        office = office_of_json(self._row.office)
        hours = SessionState.model_validate(self._row.facts).waitlist.offer_hours
        return office.week if counts_office_hours(end, self._now, hours, office) else None

    async def finish(self) -> None:
        """Write the causes and announce every registration told, in the order in which they were."""
        await self._tx.flush()
        if not self._told:
            return
        epoch = await current_epoch(self._tx)
        earlier = await causes_of(self._tx, list(self._told), since=self._now - KEPT)
        fresh = {
            id_: [
                cause.model_copy(
                    update={
                        "epoch": epoch,
                        "office_week": offer_week((*earlier.get(id_, ()), *causes), cause),
                    }
                )
                for cause in causes
            ]
            for id_, (_, causes) in self._told.items()
        }
        rows = [
            {
                "registration_id": id_,
                "epoch": epoch,
                "version": cause.version,
                "cause": cause.cause,
                "at": cause.at,
                "body": cause.model_dump(mode="json"),
            }
            for id_, causes in fresh.items()
            for cause in causes
        ]
        if rows:
            await self._tx.execute(insert(RegistrationCause), rows)
        await announce_all(
            self._tx,
            [
                message
                for id_, (registration, _) in self._told.items()
                for message in self._messages(registration, [*earlier.get(id_, ()), *fresh[id_]], epoch)
            ],
        )
        self._told.clear()
        self._forgotten.clear()

    def _messages(self, registration: Registration, causes: Sequence[Cause], epoch: int) -> list[Message]:
        def message(version: int, payload: RegistrationState | None) -> Message:
            return pack(
                topics.REGISTRATIONS,
                instance=self.settings.instance,
                key=str(registration.id),
                partition_key=str(registration.session_id),
                epoch=epoch,
                version=version,
                time=self._now,
                payload=payload,
            )

        if registration.id in self._forgotten:
            erased = registration_state(registration, [])
            return [message(registration.version - 1, erased), message(registration.version, None)]
        return [message(registration.version, registration_state(registration, causes))]


def offer_week(causes: Sequence[Cause], one: Cause) -> tuple[Ranges, ...] | None:
    """The hours in which the deadline that `one` tells was counted, as the offer among `causes` has them."""
    end = one.offer_expires_at
    if end is None:
        return None
    return next(
        (it.office_week for it in causes if it.cause == "offered" and it.offer_expires_at == end), None
    )


async def causes_of(tx: AsyncSession, ids: Sequence[UUID], *, since: datetime) -> dict[UUID, list[Cause]]:
    """The causes kept of these registrations, oldest first."""
    rows = await tx.execute(
        sa.select(RegistrationCause.registration_id, RegistrationCause.body)  # type: ignore[call-overload]
        .where(sa.column("registration_id").in_(ids), sa.column("at") >= since)
        .order_by(sa.column("epoch"), sa.column("version"))
    )
    found: dict[UUID, list[Cause]] = {}
    for row in rows:
        found.setdefault(row.registration_id, []).append(Cause.model_validate(row.body))
    return found


def registration_state(registration: Registration, causes: Sequence[Cause]) -> RegistrationState:
    """The private message about one registration."""
    return RegistrationState(
        id=registration.id,
        session_id=registration.session_id,
        status=registration.status,
        channel=registration.channel,
        seat_kind=registration.seat_kind,
        party_size=registration.party_size,
        seats=registration.seats,
        name=registration.name,
        language=registration.language,
        contact=ContactDetails(
            email=registration.email,
            mobile=registration.mobile,
            phone=registration.phone,
            postal=registration.postal,
        ),
        confirmation_number=registration.confirmation_number,
        generation=registration.generation,
        uid=registration.uid,
        sequence=registration.sequence,
        created_at=registration.created_at,
        reconfirmed_at=registration.reconfirmed_at,
        causes=tuple(causes),
    )
