"""How a session is summed up in a list: its badge, its short facts, and the next step it offers."""

from dataclasses import dataclass
from datetime import date, datetime

from libs import vocabularies
from libs.clock import zone
from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext
from services.events import labels
from services.events.public_session import PublicSession
from services.events.standing import Standing, standing_of

Words = LazyString | str


@dataclass(frozen=True, slots=True)
class Badge:
    """One or two words on the state; `kind` names the colour, which never speaks alone."""

    kind: str
    text: LazyString


@dataclass(frozen=True, slots=True)
class Step:
    """A link to what one can do next."""

    url: str
    label: LazyString


@dataclass(frozen=True, slots=True)
class Card:
    """A session in a list. `facts` are short texts, `notes` short sentences under the badge."""

    session: PublicSession
    standing: Standing
    url: str
    place: Words
    facts: tuple[Words, ...]
    zone_note: str | None
    badge: Badge | None
    notes: tuple[Words, ...]
    step: Step | None

    @property
    def colour(self) -> str:
        """The edge of the card; the badge says the same in words."""
        return _COLOURS.get(self.standing, "free")


@dataclass(frozen=True, slots=True)
class Day:
    """The sessions that begin on one day. `with_year`: it is another year than the reader's."""

    date: date
    with_year: bool
    cards: tuple[Card, ...]


_COLOURS = {
    Standing.CANCELLED: "cancelled",
    Standing.DRAW_CANCELLED: "cancelled",
    Standing.FULL: "full",
    Standing.LINE_FULL: "full",
    Standing.DRAFT: "past",
    Standing.OVER: "past",
    Standing.RUNNING: "past",
    Standing.CLOSED: "past",
}


def days(
    sessions: tuple[PublicSession, ...], now: datetime, home_zone: str, language: str
) -> tuple[Day, ...]:
    """`sessions`, already in the order of their local start, by day."""
    by_day: dict[date, list[Card]] = {}
    for session in sessions:
        by_day.setdefault(session.starts_at.date(), []).append(card(session, now, home_zone, language))
    this_year = now.astimezone(zone(home_zone)).year
    return tuple(Day(day, day.year != this_year, tuple(cards)) for day, cards in by_day.items())


def card(session: PublicSession, now: datetime, home_zone: str, language: str) -> Card:
    standing = standing_of(session, now)
    return Card(
        session=session,
        standing=standing,
        url=f"/seances/{session.id}",
        place=place(session, language),
        facts=facts(session, language),
        zone_note=zone_note(session, home_zone, language),
        badge=badge(session, standing),
        notes=_notes(session, standing, language),
        step=_step(session, standing),
    )


def place(session: PublicSession, language: str) -> Words:
    """Where it is, on one line; « À confirmer » rather than nothing."""
    if session.modality == "online":
        return labels.MODALITIES["online"]
    if session.venue is None:
        return _("Lieu à confirmer")
    if session.modality == "hybrid":
        return _("%(place)s, ou en ligne", place=session.venue.short)
    return session.venue.short


def facts(session: PublicSession, language: str) -> tuple[Words, ...]:
    """What may decide whether it suits somebody: for whom, level, language, access, how to register."""
    found: list[Words | None] = []
    if session.kind != "workshop":
        found.append(labels.label(labels.KINDS, session.kind))
    if session.stream != "public":
        found.append(labels.label(labels.STREAMS, session.stream))
    if session.level:
        found.append(vocabularies.label("levels", session.level, language))
    found.append(labels.label(labels.LANGUAGES, session.language))
    if session.venue and session.modality != "online":
        found += [labels.label(labels.ACCESS, id_) for id_ in session.venue.accessibility[:3]]
    found.append(_assisted_only(session))
    return tuple(fact for fact in found if fact)


def _assisted_only(session: PublicSession) -> LazyString | None:
    """Said where the usual way, the Web, isn't one; both being shown says more than either."""
    modes = set(session.registration_modes)
    if not modes or "web" in modes:
        return None
    if {"phone", "desk"} <= modes:
        return _("Inscription par téléphone ou au comptoir")
    if "phone" in modes:
        return _("Inscription par téléphone")
    if "desk" in modes:
        return _("Inscription au comptoir")
    if "contact_venue" in modes:
        return _("Inscription auprès du lieu")
    return None


def zone_note(session: PublicSession, home_zone: str, language: str) -> str | None:
    """« heure de l’Atlantique », where the reader may be in another zone: online, or away from home."""
    start = session.starts_at_utc
    same = (
        start.astimezone(zone(session.timezone)).utcoffset() == start.astimezone(zone(home_zone)).utcoffset()
    )
    if same and session.modality == "on_site":
        return None
    return formats.zone_label(session.timezone, start, language)


def badge(session: PublicSession, standing: Standing) -> Badge | None:
    seats = session.seats
    match standing:
        case Standing.FREE if seats:
            return Badge(
                "free", ngettext("%(count)s place libre", "%(count)s places libres", seats.available)
            )
        case Standing.ASSISTED if seats:
            return Badge("free", ngettext("%(count)s place gardée", "%(count)s places gardées", seats.held))
        case Standing.UNCOUNTED if session.capacity:
            return Badge(
                "info", ngettext("%(count)s place en tout", "%(count)s places en tout", session.capacity)
            )
    return _PLAIN_BADGES.get(standing)


_PLAIN_BADGES = {
    Standing.DRAFT: Badge("past", _("Brouillon")),
    Standing.CANCELLED: Badge("cancelled", _("Annulé")),
    Standing.OVER: Badge("past", _("Terminé")),
    Standing.RUNNING: Badge("past", _("En cours")),
    Standing.DROP_IN: Badge("free", _("Sans inscription")),
    Standing.DRAW: Badge("info", _("Tirage au sort à venir")),
    Standing.DRAW_CANCELLED: Badge("cancelled", _("Tirage annulé")),
    Standing.CONTACT: Badge("info", _("Contactez le lieu")),
    Standing.CLOSED: Badge("past", _("Inscriptions terminées")),
    Standing.NOT_OPEN: Badge("info", _("Bientôt")),
    Standing.FULL: Badge("full", _("Complet")),
    Standing.LINE_FULL: Badge("full", _("Complet")),
}


def _notes(session: PublicSession, standing: Standing, language: str) -> tuple[Words, ...]:
    notes: list[Words | None] = [moved(session, language) if standing != Standing.CANCELLED else None]
    seats = session.seats
    match standing:
        case Standing.CANCELLED:
            notes.append(sentence(session.cancel_reason))
        case Standing.FULL:
            notes += [waiting(session), _call_to_wait(session)]
        case Standing.LINE_FULL:
            notes.append(_("La liste d’attente est pleine aussi."))
        case Standing.DRAW:
            notes.append(drawing(session, language))
        case Standing.DRAW_CANCELLED:
            notes.append(_("Cet atelier ne prend plus de demande."))
        case Standing.ASSISTED:
            notes.append(_("Appelez-nous ou passez au comptoir."))
        case Standing.NOT_OPEN if session.opens_at:
            notes.append(_("Inscription dès le %(moment)s", moment=opening(session, language)))
        case Standing.FREE if seats and session.modality == "hybrid":
            notes.append(by_kind(session))
    return tuple(note for note in notes if note)


def waiting(session: PublicSession) -> LazyString | None:
    """« 3 personnes en attente. »; nothing while nobody waits."""
    count = session.seats.waitlisted if session.seats else 0
    return (
        ngettext("%(count)s personne en attente.", "%(count)s personnes en attente.", count)
        if count
        else None
    )


def by_kind(session: PublicSession) -> LazyString | None:
    """How the free seats of a hybrid session are shared out."""
    kinds = session.seats.by_kind if session.seats else {}
    if not {"on_site", "online"} <= set(kinds):
        return None
    return _(
        "%(here)s sur place, %(there)s en ligne.",
        here=max(kinds["on_site"].get("available", 0), 0),
        there=max(kinds["online"].get("available", 0), 0),
    )


def moved(session: PublicSession, language: str) -> LazyString | None:
    """What to write over what the reader may have noted before the session was moved."""
    known = before(session, language)
    return _("Déplacé. Avant : %(known)s", known=known) if known else None


def before(session: PublicSession, language: str) -> str | None:
    """The time, the place or both that were announced before the last move."""
    start = session.previous_starts_at
    if start is None:
        return None
    here = session.venue.name if session.venue else None
    when = formats.at(start, language) if start != session.starts_at else None
    where = session.previous_place if session.previous_place != here else None
    return ", ".join(part for part in (when, where) if part) or None


def opening(session: PublicSession, language: str) -> str:
    """When registration opens, on the wall clock of the session's place."""
    assert session.opens_at is not None
    return formats.at(session.opens_at.astimezone(zone(session.timezone)), language)


def drawing(session: PublicSession, language: str) -> LazyString:
    """When the draw is, on the wall clock of the session's place, and that nobody needs to hurry."""
    assert session.draw_closes_at is not None
    closes_at = session.draw_closes_at.astimezone(zone(session.timezone))
    return _(
        "Tirage au sort le %(moment)s : faire sa demande tôt ou tard avant ce moment donne la même chance.",
        moment=formats.at(closes_at, language),
    )


def _call_to_wait(session: PublicSession) -> LazyString | None:
    return None if "web" in session.registration_modes else _("Appelez-nous pour attendre une place.")


def _step(session: PublicSession, standing: Standing) -> Step | None:
    if standing in {Standing.CANCELLED, Standing.LINE_FULL, Standing.CLOSED, Standing.DRAW_CANCELLED}:
        return Step(f"/seances/{session.id}#autres-dates", _("Autres dates"))
    if standing is Standing.FULL and "web" in session.registration_modes:
        return Step(f"/inscription/{session.id}", _("Attendre une place"))
    return None


def sentence(text: str | None) -> str | None:
    """What somebody typed as a reason, ended like a sentence."""
    text = (text or "").strip()
    if not text:
        return None
    return text if text[-1] in ".!?…" else f"{text}."
