"""Consequences: which differences between a session before and after are told to its people."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.web import formats
from libs.web.i18n import LazyString, _
from services.events import labels

Words = LazyString | str


@dataclass(frozen=True, slots=True)
class Known:
    """What people know of a session: wall times in `timezone`, their instants, the place, the room link."""

    starts_at: datetime
    ends_at: datetime
    starts_at_utc: datetime
    ends_at_utc: datetime
    timezone: str
    modality: str
    venue_id: UUID | None
    place: str | None
    online_url: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """One line of what people will read: what it was, what it becomes."""

    label: LazyString
    before: Words
    after: Words


def told(before: Known, after: Known, language: str) -> list[Told]:
    """What a change makes people read; nothing if it disturbs nobody.

    The same facts count as in the notices: time, zone, modality, place, room link.
    """
    found: list[Told] = []
    when = (before.starts_at_utc, before.ends_at_utc, before.timezone)
    if when != (after.starts_at_utc, after.ends_at_utc, after.timezone):
        found.append(Told(_("Quand"), *(_when(known, language, before, after) for known in (before, after))))
    if before.modality != after.modality:
        modes = [labels.label(labels.MODALITIES, known.modality) or "" for known in (before, after)]
        found.append(Told(_("Comment"), *modes))
    if before.venue_id != after.venue_id:
        found.append(Told(_("Où"), before.place or _("aucun lieu"), after.place or _("aucun lieu")))
    if before.online_url != after.online_url:
        links = [known.online_url or _("aucun lien") for known in (before, after)]
        found.append(Told(_("Lien de la vidéo"), *links))
    return found


def only_the_link(changes: list[Told], before: Known, after: Known) -> bool:
    """Whether nothing but the room link differs, so that only those with an online seat are told."""
    return len(changes) == 1 and before.online_url != after.online_url


def _when(known: Known, language: str, before: Known, after: Known) -> str:
    text = formats.when(known.starts_at, known.ends_at, language)
    if before.timezone == after.timezone:
        return text
    return f"{text} ({formats.zone_label(known.timezone, known.starts_at_utc, language)})"
