"""A registration as pages show it: what is so, and what can be done about it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.messaging.contracts import NoticeOutcome, SessionFacts, SessionState
from libs.opening_hours import Ranges
from libs.web import formats
from libs.web.i18n import LazyString, _
from services.registrations.offers import LAST_DAY
from services.registrations.reaching import Reach
from services.registrations.seatbook import LIVE
from services.registrations.session_view import SessionView, place
from services.registrations.standing import Standing


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The same person's registration on another session, before or after the team transferred them.

    `link_replaced`: the team has since replaced a link of theirs; an older one must not lead to the new.
    """

    id: UUID
    facts: SessionState
    generation: int
    link_replaced: bool = False

    def when(self, language: str) -> str:
        """Its day and hours, in words."""
        return formats.when(self.facts.starts_at, self.facts.ends_at, language)


@dataclass(frozen=True, slots=True)
class RegistrationView:
    """`ahead`: people before them in the line. `ended_by`: person, staff, session or draw, if it is known.

    `before`: the session as it was, for somebody whose session was moved after they registered. `was_at` and
    `now_at`: where somebody was transferred from, and to. `granted`: their seat is over capacity. `ticket`:
    their number in the draw, where seats are drawn; `rank`: what it gave them, if they asked in time.
    `notices`: what became of each notice about it; `reach`: how far the newest news came.
    `had_seat`: whether a seat was ever theirs.
    `is_asked`: whether they still come, and they have said nothing; `has_reconfirmed`: they said so.
    """

    id: UUID
    name: str
    status: str
    number: str
    seat_kind: str
    route: str
    language: str
    generation: int
    uid: str
    sequence: int
    touched_at: datetime
    session: SessionView
    ahead: int | None = None
    offer_expires_at: datetime | None = None
    had_seat: bool = False
    office_week: tuple[Ranges, ...] | None = None
    """The team's hours, where the time to answer an offer is counted in them."""
    ended_by: str | None = None
    reason: str | None = None
    before: SessionFacts | None = None
    was_at: Elsewhere | None = None
    now_at: Elsewhere | None = None
    granted: bool = False
    version: int = 0
    ticket: int | None = None
    rank: int | None = None
    asked_at: datetime | None = None
    wait_id: UUID | None = None
    """The wait for many sessions by which the person came here, while it lasts or as it ended."""
    notices: tuple[NoticeOutcome, ...] = ()
    reach: Reach | None = None
    is_asked: bool = False
    has_reconfirmed: bool = False
    party_size: int = 1
    seats: int = 1
    gather_until: datetime | None = None
    gathered: bool = False

    @property
    def is_late(self) -> bool:
        """Whether the draw had closed when the request came: it stands behind all who were drawn."""
        draw = self.session.draw
        return draw is not None and self.asked_at is not None and self.asked_at >= draw.closes_at

    @property
    def is_live(self) -> bool:
        """Whether there is a seat or a place in the line that can still be given up."""
        return self.status in LIVE and not self.has_begun

    @property
    def has_begun(self) -> bool:
        return self.session.standing in {Standing.CANCELLED, Standing.OVER, Standing.RUNNING}

    @property
    def may_reconfirm(self) -> bool:
        """Whether an answer to « venez-vous toujours ? » is waited for."""
        return self.is_asked and self.status == "confirmed" and self.is_live

    @property
    def may_shrink(self) -> bool:
        """Whether fewer people may come than were to."""
        return self.party_size > 1 and self.is_live

    @property
    def may_split(self) -> bool:
        """Whether some may go on waiting by themselves."""
        return self.seats > 1 and self.status == "waitlisted" and not self.has_begun

    @property
    def may_answer(self) -> bool:
        """An offer can be accepted until its expiry is recorded (rule S3)."""
        return self.status == "offered"

    @property
    def may_be_passed_over(self) -> bool:
        """Whether one unanswered call ends the offer: on the last day (rule S3)."""
        left = self.session.facts.starts_at_utc - self.session.now
        return self.status == "offered" and left <= LAST_DAY and not self.has_begun

    @property
    def room_link(self) -> str | None:
        """The way into the video meeting, for people with a confirmed online seat only."""
        confirmed = self.status == "confirmed" and self.seat_kind == "online"
        return self.session.room_link if confirmed and not self.session.is_past else None

    @property
    def offers_others(self) -> bool:
        """Whether other dates would help now."""
        if self.now_at is not None:
            return False
        return self.status not in {"confirmed", "offered", "pending"} or self.has_begun

    def moved_from(self, language: str) -> LazyString | None:
        """What the person may have noted before the session was moved."""
        facts = self.before
        if facts is None or not self.is_live:
            return None
        now, then = self.session.facts, formats.when(facts.starts_at, facts.ends_at, language)
        where = place(facts, self.seat_kind)
        moved_in_time = (facts.starts_at, facts.ends_at) != (now.starts_at, now.ends_at)
        moved_in_space = where != place(now, self.seat_kind)
        if moved_in_time and moved_in_space:
            return _("Avant : %(when)s, %(place)s.", when=then, place=where)
        if moved_in_time:
            return _("Avant : %(when)s", when=formats.full_stop(then))
        return _("Avant : %(place)s.", place=where) if moved_in_space else None

    def came_from(self, language: str) -> LazyString | None:
        """Where the person was before the team transferred them, while they may look for it."""
        if self.was_at is None or not self.is_live:
            return None
        return _(
            "Avant, votre inscription était à l’atelier « %(title)s », %(when)s",
            title=self.was_at.facts.title,
            when=formats.full_stop(self.was_at.when(language)),
        )


ROUTES = {
    "email": _("par courriel"),
    "mobile": _("par message texte ou par téléphone"),
    "phone": _("par téléphone"),
    "postal": _("par la poste"),
}

STATUSES = {
    "pending": _("Attend le tirage"),
    "waitlisted": _("En attente"),
    "offered": _("Place offerte"),
    "confirmed": _("A une place"),
    "expired": _("Délai passé"),
    "declined": _("A dit non"),
    "cancelled": _("Annulée"),
    "attended": _("A participé"),
    "absent": _("Absence"),
    "excused": _("Absence excusée"),
}
"""The states in a word or two, for the team."""
