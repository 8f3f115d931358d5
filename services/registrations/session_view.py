"""A session as this service's pages show it: its facts, its seats, and where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from libs.clock import zone
from libs.messaging.contracts import DrawRule, SeatsOfKind, SessionFacts, SessionState, VenueFacts
from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext
from services.registrations import pools
from services.registrations.draw import Stage
from services.registrations.standing import OPEN, Standing

_USUAL_ZONE = "America/Toronto"


@dataclass(frozen=True, slots=True)
class SessionView:
    """`seats` are over all kinds, `by_kind` apart. `room_link` is for confirmed online people only."""

    facts: SessionState
    seats: SeatsOfKind
    by_kind: Mapping[str, SeatsOfKind]
    standing: Standing
    now: datetime
    room_link: str | None = None
    draw_stage: str | None = None

    @property
    def id(self) -> UUID:
        return self.facts.id

    @property
    def is_open(self) -> bool:
        """Whether a request is taken now, if only to wait."""
        return self.standing in OPEN

    @property
    def is_past(self) -> bool:
        return self.standing is Standing.OVER

    @property
    def day(self) -> date:
        """The day on which it begins, where it takes place."""
        return self.facts.starts_at.date()

    @property
    def kinds(self) -> tuple[str, ...]:
        return pools.seat_kinds(self.facts.modality)

    @property
    def pro(self) -> bool:
        return self.facts.stream == "pro"

    @property
    def opens_at(self) -> datetime | None:
        """On the wall clock of the session's place."""
        return None if self.facts.opens_at is None else self.local(self.facts.opens_at)

    @property
    def draw(self) -> DrawRule | None:
        """The rule by which its seats are drawn, if they are, or were."""
        return self.facts.waitlist.drawn if self.draw_stage is not None else None

    @property
    def draw_closes_at(self) -> datetime | None:
        """On the wall clock of the session's place."""
        return None if self.draw is None else self.local(self.draw.closes_at)

    @property
    def draw_is_closed(self) -> bool:
        """Whether a request comes too late for the draw; the draw may still be to come."""
        return self.draw is not None and self.draw.closes_at <= self.now

    @property
    def asks_first_time(self) -> bool:
        """Whether who has had no seat this year may be in more lots of a draw that still takes tickets."""
        is_open = self.draw_stage == Stage.TO_COME and not self.draw_is_closed
        return is_open and self.draw is not None and self.draw.first_time_lots > 1

    @property
    def badge(self) -> LazyString:
        """Whether there is room, in a word or two."""
        match self.standing:
            case Standing.CANCELLED:
                return _("Annulé")
            case Standing.OVER:
                return _("Terminé")
            case Standing.RUNNING:
                return _("En cours")
            case Standing.DROP_IN:
                return _("Sans inscription")
            case Standing.CLOSED:
                return _("Inscriptions terminées")
            case Standing.NOT_OPEN | Standing.LINK_AWAITED:
                return _("Bientôt")
            case Standing.DRAW:
                return _("Tirage au sort à venir")
            case Standing.DRAW_CANCELLED:
                return _("Tirage annulé")
        if self.seats.available > 0:
            return free_seats(self.seats.available)
        return _("Complet")

    @property
    def badge_kind(self) -> str:
        """The colour of the badge; the word says the same."""
        if self.standing in {Standing.CANCELLED, Standing.DRAW_CANCELLED}:
            return "cancelled"
        if self.standing in {Standing.OVER, Standing.RUNNING, Standing.CLOSED}:
            return "past"
        if self.standing in {Standing.NOT_OPEN, Standing.LINK_AWAITED, Standing.DRAW}:
            return "info"
        return "free" if self.seats.available > 0 or self.standing is Standing.DROP_IN else "full"

    def local(self, instant: datetime) -> datetime:
        return instant.astimezone(zone(self.facts.timezone))

    def zone_note(self, language: str) -> str | None:
        """« heure de l’Atlantique », where the reader may be in another zone."""
        start = self.facts.starts_at_utc
        usual = start.astimezone(zone(_USUAL_ZONE)).utcoffset()
        if self.facts.modality == "on_site" and self.local(start).utcoffset() == usual:
            return None
        return formats.zone_label(self.facts.timezone, start, language)

    def place(self, kind: str | None = None) -> LazyString | str:
        """Where it is, on one line; for somebody with a seat of `kind`, their own place alone."""
        return place(self.facts, kind)


def place(facts: SessionState | SessionFacts, kind: str | None = None) -> LazyString | str:
    """« Bibliothèque X, 1100, route de l’Église, Québec », or that it is online."""
    if facts.modality == "online" or kind == "online":
        return _("En ligne, par vidéo")
    if facts.venue is None:
        return _("Lieu à confirmer")
    where = one_line(facts.venue)
    return where if facts.modality == "on_site" or kind else _("%(place)s, ou en ligne", place=where)


def one_line(venue: VenueFacts) -> str:
    """A venue's name and address; the town isn't said twice."""
    town = venue.municipality
    if town and venue.street is None and town.casefold() in venue.name.casefold():
        town = None
    return ", ".join(part for part in (venue.name, venue.street, town) if part)


def free_seats(count: int) -> LazyString:
    return ngettext("%(count)s place libre", "%(count)s places libres", count)


def people_ahead(count: int) -> LazyString:
    """How many people wait before somebody who joins the line, or stands in it."""
    if count == 0:
        return _("personne avant vous")
    return ngettext("une personne avant vous", "%(count)s personnes avant vous", count)
