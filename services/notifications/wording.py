"""A notice in words: the templates of `mails/`, in the person's language, from plain facts."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from libs import vocabularies
from libs.clock import zone
from libs.messaging.contracts import Cause, RegistrationState, SessionFacts
from libs.web import formats
from libs.web.i18n import SOURCE, Language, known_language
from libs.web.templating import environment
from services.notifications.changes import changes
from services.notifications.itip import method_of
from services.notifications.mailing import calls_for_notice, is_reminder
from services.notifications.places import address_lines, is_by_video, one_line
from services.notifications.sender import Sender

PACKAGE = "services.notifications"
FOLDER = Path(__file__).parent / "mails"


@dataclass(frozen=True, slots=True)
class Facts:
    """One notice to one person. `told`: the session as they were last told of it, if they were.

    `untold_transfer`: the session that they left without having been told so yet; who calls them about
    anything else must say that first.
    """

    state: RegistrationState
    cause: Cause
    told: SessionFacts | None = None
    untold_transfer: SessionFacts | None = None

    @property
    def language(self) -> Language:
        return known_language(self.state.language) or SOURCE

    @property
    def folder(self) -> str:
        """The templates of this cause; all reminders share theirs."""
        return "reminder" if is_reminder(self.cause.cause) else self.cause.cause

    @property
    def spoken_folder(self) -> str:
        """Where the words for a call are, also for a cause that only a newer version knows: its status."""
        known = calls_for_notice(self.cause.cause)
        return self.folder if known else _BY_STATUS.get(self.cause.status, "session_changed")

    @property
    def moved_from(self) -> SessionFacts | None:
        """The session that the person still believes to be theirs; None if they know of this one."""
        if self.untold_transfer is None or self.cause.cause == "transferred":
            return None
        if self.told is None:
            return self.untold_transfer
        return self.told if self.told.id != self.cause.session.id else None

    @property
    def before(self) -> SessionFacts | None:
        """What the person believes so far."""
        return self.told or self.cause.previous

    @property
    def differences(self) -> frozenset[str]:
        """What changed since then."""
        return changes(self.before, self.cause.session) if self.before is not None else frozenset()


_BY_STATUS = {
    "pending": "pending",
    "confirmed": "confirmed",
    "waitlisted": "waitlisted",
    "offered": "offered",
    "cancelled": "cancelled_by_staff",
}


def say(
    template: str,
    facts: Facts,
    sender: Sender,
    now: datetime,
    *,
    language: Language | None = None,
    on_paper: bool = False,
) -> str:
    """`mails/<template>` for these facts; plain text comes back tidy, without empty ends.

    `language` is the person's own unless somebody of the team reads along in another; `on_paper` lays
    the words of a call out as a letter.
    """
    language = language or facts.language
    page = _environment(language).get_template(template)
    text = page.render(_context(facts, sender, now, language, on_paper))
    text = text.replace("m..", "m.")  # « 4 p.m. » ends its sentence by itself
    return text.strip() + "\n" if template.endswith(".html") else _tidy(text)


def _context(
    facts: Facts, sender: Sender, now: datetime, language: Language, on_paper: bool
) -> dict[str, object]:
    state, cause, session, before = facts.state, facts.cause, facts.cause.session, facts.before
    here = zone(session.timezone)
    today = now.astimezone(here).date()
    online = cause.seat_kind == "online"
    draw = cause.draw
    offer_ends_at = cause.offer_expires_at.astimezone(here) if cause.offer_expires_at else None
    return {
        "name": state.name,
        "number": state.confirmation_number,
        "session": session,
        "cause": cause.cause,
        "before": before,
        "moved_from": facts.moved_from,
        "differences": sorted(facts.differences),
        "status": cause.status,
        "reason": cause.reason,
        "position": cause.position,
        "seats": state.seats,
        "alternatives": cause.alternatives[:3],
        "draw": draw,
        "draw_closes_at": draw.closes_at.astimezone(here) if draw is not None else None,
        "draw_is_late": draw is not None and cause.at >= draw.closes_at,
        "online": online,
        "zone": session.timezone if online else None,
        "address": address_lines(session.venue) if session.venue is not None and not online else (),
        "place": one_line(session.venue) if session.venue is not None else None,
        "place_before": one_line(before.venue) if before is not None and before.venue else None,
        "online_before": before is not None and is_by_video(before),
        "offer_ends_at": offer_ends_at,
        "office_week": cause.office_week,
        "offer_ends_today": offer_ends_at is not None and offer_ends_at.date() == today,
        "days_left": (session.starts_at.date() - today).days,
        "has_invitation": method_of(cause) == "REQUEST",
        "takes_back": method_of(cause) == "CANCEL",
        "invited": cause.invited,
        "channel": state.channel,
        "sender": sender,
        "phone_hours": sender.phone_hours[language],
        "postal": state.contact.postal or "",
        "today": today,
        "layout": "letter.txt" if on_paper else "spoken.txt",
        **_of_wait(cause, language),
        "ends_wait": cause.ends_wait,
        "silence_frees": cause.silence_frees,
        "manage_url": (sender.wait_url if cause.wait else sender.manage_url)(state.id, state.generation),
    }


def _of_wait(cause: Cause, language: Language) -> dict[str, object]:
    """What a wait for many sessions is for, in words."""
    wait = cause.wait
    if wait is None:
        return {"wait": None, "wait_theme": cause.session.title, "wait_regions": ""}
    names = [vocabularies.region_name(code, language) for code in wait.regions]
    return {
        "wait": wait,
        "wait_theme": vocabularies.label("themes", wait.theme, language),
        "wait_regions": formats.listing(names, language),
    }


@lru_cache(maxsize=8)
def _environment(language: Language) -> Environment:
    """The pages' own language, filters and escaping, with the folder of the e-mails."""
    return environment(PACKAGE, language).overlay(loader=FileSystemLoader(FOLDER))


def _tidy(text: str) -> str:
    """No spaces at line ends, never two empty lines in a row."""
    lines = (line.rstrip(" \t") for line in text.strip().splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"
