"""What somebody is told of their wait for many sessions itself; of each seat they are told like everybody."""

from datetime import datetime, time
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from libs import vocabularies
from libs.clock import zone
from libs.geography import Point
from libs.messaging import topics
from libs.messaging.contracts import (
    Cause,
    ContactDetails,
    RegistrationState,
    SessionFacts,
    WaitFacts,
)
from libs.messaging.envelope import pack
from libs.messaging.outbox import announce_all, current_epoch
from libs.settings import Settings
from services.registrations.models import Wait
from services.registrations.telling import KEPT
from services.registrations.wishing import Around, Wish

NOTED, ENDED, OVER = "wait_noted", "wait_ended", "wait_over"
ZONE = "America/Toronto"
"""A wait has days, and no place whose clock they would be."""


def wish_of(wait: Wait) -> Wish:
    """What the wait is for, as the rules know it."""
    around = None
    if wait.latitude is not None and wait.longitude is not None and wait.km is not None:
        around = Around(Point(wait.latitude, wait.longitude), wait.km)
    return Wish(
        theme=wait.theme,
        first_day=wait.first_day,
        last_day=wait.last_day,
        stream=wait.stream,
        regions=frozenset(wait.regions),
        around=around,
        online=wait.online,
        language=wait.spoken,
    )


def wait_facts(wait: Wait) -> WaitFacts:
    """What the wait is for, as a notice tells it."""
    return WaitFacts(
        theme=wait.theme,
        stream=wait.stream,
        regions=tuple(wait.regions),
        place=wait.place,
        km=wait.km,
        online=wait.online,
        language=wait.spoken,
        first_day=wait.first_day,
        last_day=wait.last_day,
    )


async def say(
    tx: AsyncSession,
    settings: Settings,
    wait: Wait,
    now: datetime,
    cause: str | None = None,
    *,
    reason: str | None = None,
) -> None:
    """Announce the wait as it is now, and tell its person of `cause`; None tells nobody."""
    epoch = await current_epoch(tx)
    wait.version += 1
    kept = [item for item in wait.causes if datetime.fromisoformat(item["at"]) >= now - KEPT]
    if cause is not None:
        kept.append(_cause(settings, wait, now, epoch, cause, reason).model_dump(mode="json"))
    wait.causes = kept
    await _announce(tx, settings, wait.id, epoch, wait.version, now, _state(settings, wait))


async def forget(tx: AsyncSession, settings: Settings, wait: Wait, now: datetime) -> None:
    """The person is erased from the row already: say that state, then that the thing is gone."""
    epoch = await current_epoch(tx)
    wait.causes = []
    wait.version += 2
    await _announce(tx, settings, wait.id, epoch, wait.version - 1, now, _state(settings, wait))
    await _announce(tx, settings, wait.id, epoch, wait.version, now, None)


async def _announce(
    tx: AsyncSession,
    settings: Settings,
    id_: UUID,
    epoch: int,
    version: int,
    now: datetime,
    payload: RegistrationState | None,
) -> None:
    await tx.flush()
    key = str(id_)
    message = pack(
        topics.REGISTRATIONS,
        instance=settings.instance,
        key=key,
        partition_key=key,
        epoch=epoch,
        version=version,
        time=now,
        payload=payload,
    )
    await announce_all(tx, [message])


def _cause(
    settings: Settings, wait: Wait, now: datetime, epoch: int, cause: str, reason: str | None
) -> Cause:
    return Cause(
        epoch=epoch,
        version=wait.version,
        cause=cause,
        at=now,
        status=_status(wait),
        sequence=0,
        reason=reason,
        session=_period(settings, wait),
        wait=wait_facts(wait),
    )


def _state(settings: Settings, wait: Wait) -> RegistrationState:
    return RegistrationState(
        id=wait.id,
        session_id=wait.id,
        status=_status(wait),
        channel=wait.channel,
        seat_kind="on_site",
        name=wait.name,
        language=wait.language,
        contact=ContactDetails(email=wait.email, mobile=wait.mobile, phone=wait.phone, postal=wait.postal),
        confirmation_number=wait.confirmation_number,
        generation=wait.generation,
        uid=f"{wait.id}@{settings.uid_domain}",
        sequence=0,
        created_at=wait.created_at,
        causes=tuple(Cause.model_validate(item) for item in wait.causes),
    )


def _status(wait: Wait) -> str:
    """Once a seat was found, what is still to be said of the wait needn't be said any more."""
    return "waitlisted" if wait.status == "open" else "cancelled"


def _period(settings: Settings, wait: Wait) -> SessionFacts:
    """The last day in the place of a session."""
    end = datetime.combine(wait.last_day, time(23, 59))
    end_utc = end.replace(tzinfo=zone(ZONE))
    return SessionFacts(
        id=wait.id,
        title=vocabularies.label("themes", wait.theme, wait.language),
        status="published",
        stream=wait.stream,
        modality="on_site",
        starts_at=end,
        ends_at=end,
        timezone=ZONE,
        starts_at_utc=end_utc,
        ends_at_utc=end_utc,
        url=f"{settings.base_url}/attendre",
    )
