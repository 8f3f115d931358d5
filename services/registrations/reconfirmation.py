"""Asking people whether they still come, and freeing the seats of those whose silence says so."""

from collections.abc import Sequence
from datetime import UTC, datetime

from libs.clock import zone
from services.registrations import commands, queries, reconfirming
from services.registrations.models import Registration
from services.registrations.reached import notices_of
from services.registrations.reconfirming import Asked
from services.registrations.seatbook import Cancel
from services.registrations.seating import Seating, ref_of


def asked_of(registration: Registration) -> list[Asked]:
    """The times that this person was asked."""
    return [
        Asked(one["mark"], one["version"], datetime.fromisoformat(one["at"]))
        for one in registration.reconfirm_asked
    ]


def ask(seating: Seating, registration: Registration) -> bool:
    """Ask if the moment has come; whether this person was asked today, now or before."""
    rule, asked = seating.facts.reconfirm, asked_of(registration)
    mark = reconfirming.due(
        now=seating.now,
        starts_at=_start(seating),
        confirmed_at=registration.confirmed_at or registration.created_at,
        reconfirmed=registration.reconfirmed_at is not None,
        asked=asked,
        days=rule.days,
    )
    if mark is not None:
        seating.telling.tell(registration, reconfirming.CAUSE, silence_frees=rule.silence == "free")
        entry = {"mark": mark, "version": registration.version, "at": seating.now.isoformat()}
        registration.reconfirm_asked = [*registration.reconfirm_asked, entry]
        return True
    return any(_day(seating, one.at) == _day(seating, seating.now) for one in asked)


async def free_the_silent(seating: Seating, people: Sequence[Registration]) -> int:
    """Free the seats of confirmed people who were told twice and said nothing; how many that was."""
    rule = seating.facts.reconfirm
    silent = [one for one in people if one.reconfirmed_at is None and one.reconfirm_asked]
    if rule.silence != "free" or not silent:
        return 0
    notices = await notices_of(seating.tx, [one.id for one in silent])
    freed = [
        one
        for one in silent
        if reconfirming.is_freed(
            now=seating.now,
            starts_at=_start(seating),
            silence=rule.silence,
            reconfirmed=False,
            asked=asked_of(one),
            notices=notices.get(one.id, ()),
        )
    ]
    if not freed:
        return 0
    seating.know(*freed)
    others = await queries.alternatives(seating.tx, seating.settings, seating.facts, seating.now)
    for registration in freed:
        cancel = Cancel(ref_of(registration))
        await commands.end(seating, registration, cancel, "released_unanswered", alternatives=others)
    return len(freed)


def is_asked(registration: Registration, starts_at: datetime) -> bool:
    """Whether this person was asked about the session as it is planned now, and has said nothing."""
    if registration.reconfirmed_at is not None:
        return False
    return bool(reconfirming.asked_about(asked_of(registration), starts_at.astimezone(UTC)))


def _start(seating: Seating) -> datetime:
    return seating.facts.starts_at_utc.astimezone(UTC)


def _day(seating: Seating, moment: datetime) -> object:
    return moment.astimezone(zone(seating.facts.timezone)).date()
