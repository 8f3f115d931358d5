"""A registration as pages show it, and the sentence that says where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.messaging.contracts import NoticeOutcome, SessionFacts, SessionState
from libs.opening_hours import Ranges
from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext
from services.registrations.explaining import waits_for_more
from services.registrations.offers import LAST_DAY
from services.registrations.reaching import Reach
from services.registrations.session_view import SessionView, people_ahead, place
from services.registrations.standing import Standing

LIVE = frozenset({"pending", "waitlisted", "offered", "confirmed"})


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The same person's registration on another session, before or after the team transferred them.

    `link_replaced`: the team has since replaced a link of theirs; an older one must not lead to the new.
    """

    id: UUID
    facts: SessionState
    generation: int
    link_replaced: bool = False


@dataclass(frozen=True, slots=True)
class RegistrationView:
    """`ahead`: people before them in the line. `ended_by`: person, staff, session or draw, if it is known.

    `before`: the session as it was, for somebody whose session was moved after they registered. `was_at` and
    `now_at`: where somebody was transferred from, and to. `granted`: their seat is over capacity. `ticket`:
    their number in the draw, where seats are drawn; `rank`: what it gave them, if they asked in time.
    `notices`: what became of each notice about it; `reach`: how far the newest news came.
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
            when=formats.full_stop(_when(self.was_at.facts, language)),
        )


@dataclass(frozen=True, slots=True)
class State:
    """A state in words: what is so, and what comes next. `kind` names the colour of the box."""

    kind: str
    text: LazyString
    details: tuple[LazyString, ...] = field(default=())


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


def state_of(person: RegistrationView, language: str) -> State:
    """The sentence at the top of the person's own page, also read to them over the telephone."""
    match person.status:
        case "confirmed":
            return _confirmed(person)
        case "pending" if person.session.draw is not None:
            return _before_the_draw(person, language)
        case "waitlisted":
            return _waitlisted(person, language)
        case "offered":
            return _offered(person, language)
        case "cancelled":
            return _cancelled(person) if person.now_at is None else _transferred(person.now_at, language)
    return _PLAIN[person.status]


_PLAIN = {
    "pending": State(
        "waiting", _("Nous étudions votre demande."), (_("Vous n’avez rien à faire pour le moment."),)
    ),
    "expired": State(
        "attention",
        _("La place n’est plus gardée pour vous."),
        (_("Le délai pour répondre est passé."), _("La place est allée à la personne suivante.")),
    ),
    "declined": State(
        "info", _("Vous avez laissé la place."), (_("Elle est allée à la personne suivante."), _("Merci !"))
    ),
    "attended": State("done", _("Vous avez participé à cet atelier."), (_("Merci !"),)),
    "absent": State("info", _("Cet atelier est terminé."), (_("Nous avons noté votre absence."),)),
    "excused": State("info", _("Cet atelier est terminé."), (_("Votre absence est excusée."),)),
}


_SAID_YES = _("Vous nous avez dit que vous venez. Merci !")


def _confirmed(person: RegistrationView) -> State:
    match person.session.standing:
        case Standing.CANCELLED:
            return State("cancelled", _("Cet atelier est annulé."))
        case Standing.OVER:
            return State("info", _("Cet atelier est terminé."), (_("Vous aviez une place."),))
        case Standing.RUNNING:
            return State("done", _has(person.seats), (_("L’atelier a commencé."),))
    if person.has_reconfirmed:
        return State("done", _has(person.seats), (_SAID_YES, *_companion(person), _told_of_changes(person)))
    said = (*_drawn(person), *_companion(person), _told_of_changes(person))
    return State("done", _has(person.seats), said)


def _before_the_draw(person: RegistrationView, language: str) -> State:
    """What one has of a draw before it is held: a ticket, and when it is."""
    match person.session.standing:
        case Standing.CANCELLED:
            return State("cancelled", _("Cet atelier est annulé."))
        case Standing.OVER | Standing.RUNNING:
            return State("info", _("Le tirage au sort n’a pas eu lieu."), (_("Cet atelier a commencé."),))
    closes_at = person.session.draw_closes_at
    assert closes_at is not None, "who waits for a draw knows when it is"
    told = _("Après le tirage, nous vous prévenons %(route)s.", route=ROUTES[person.route])
    nothing = _("Vous n’avez rien à faire.")
    if person.is_late:
        late = _("Elle est arrivée après la fermeture du tirage : elle passe après les autres.")
        return State("waiting", _("Votre demande est notée."), (late, told, nothing))
    number = _("Votre numéro dans le tirage est le %(ticket)s.", ticket=person.ticket)
    if person.session.draw_is_closed:
        soon = _("Le tirage est fermé. Le résultat arrive dans quelques minutes.")
        return State("waiting", _("Votre demande attend le tirage au sort."), (number, soon, told))
    moment = formats.full_stop(formats.at(closes_at, language))
    return State(
        "waiting",
        _("Votre demande attend le tirage au sort du %(moment)s", moment=moment),
        (number, _("Toutes les demandes reçues avant ont la même chance."), told, nothing),
    )


def _drawn(person: RegistrationView) -> tuple[LazyString, ...]:
    """The rank that the draw gave, for who was in it."""
    if person.rank is None:
        return ()
    return (
        _(
            "Au tirage, votre numéro %(ticket)s a eu le rang %(rank)s.",
            ticket=person.ticket,
            rank=person.rank,
        ),
    )


def _has(seats: int) -> LazyString:
    return ngettext("Vous avez une place.", "Vous avez %(count)s places.", seats)


def _companion(person: RegistrationView) -> tuple[LazyString, ...]:
    """Nobody should wonder at the door why there is a seat less than people."""
    if person.party_size == person.seats:
        return ()
    return (_("La personne qui vous accompagne vient avec vous, sans prendre de place."),)


def _together(person: RegistrationView, language: str) -> tuple[LazyString, ...]:
    """What a party waits for: all its seats at once, some of which may be free already."""
    sentences = [_("Vous aurez toutes vos places ensemble.")]
    if person.gather_until is not None:
        until = formats.at(person.session.local(person.gather_until), language)
        sentences.append(waits_for_more(person.seats, until))
    sentences.append(_("Dès qu’il y en a assez, nous vous prévenons %(route)s.", route=ROUTES[person.route]))
    if person.gathered:
        sentences.append(_("En attendant, une place seule va aux personnes suivantes. Votre rang reste."))
    return tuple(sentences)


def _waitlisted(person: RegistrationView, language: str) -> State:
    if person.session.standing is Standing.CANCELLED:
        return State("cancelled", _("Cet atelier est annulé."))
    if person.has_begun:
        return State(
            "info", _("Aucune place ne s’est libérée à temps."), (_("Cet atelier a déjà commencé."),)
        )
    ahead = people_ahead(person.ahead or 0)
    if person.seats > 1:
        return State(
            "waiting",
            _("Vous êtes en attente de %(seats)s places : %(ahead)s.", seats=person.seats, ahead=ahead),
            _together(person, language),
        )
    return State(
        "waiting",
        _("Vous êtes en attente : %(ahead)s.", ahead=ahead),
        (
            *_drawn(person),
            _(
                "Si une place se libère pour vous, nous vous prévenons %(route)s.",
                route=ROUTES[person.route],
            ),
            _("Vous n’avez rien à faire."),
        ),
    )


def _offered(person: RegistrationView, language: str) -> State:
    end, now = person.offer_expires_at, person.session.now
    assert end is not None, "an offer has an end"
    passes_on = ngettext(
        "Sans réponse, la place va à la personne suivante.",
        "Sans réponse, les places vont aux personnes suivantes.",
        person.seats,
    )
    if end <= now:
        text = ngettext(
            "Une place s’est libérée pour vous. Répondez tout de suite.",
            "%(count)s places se sont libérées pour vous. Répondez tout de suite.",
            person.seats,
        )
        return State("attention", text, (passes_on,))
    deadline = formats.deadline(person.session.local(end), person.session.local(now), language)
    text = ngettext(
        "Une place s’est libérée pour vous. Répondez %(deadline)s",
        "%(count)s places se sont libérées pour vous. Répondez %(deadline)s",
        person.seats,
        deadline=formats.full_stop(deadline),
    )
    return State("attention", text, (*counted_hours(person.office_week, language), passes_on))


def counted_hours(week: Sequence[Ranges] | None, language: str) -> tuple[LazyString, ...]:
    """What a deadline that is counted in the team's hours needs to be understood."""
    if week is None:
        return ()
    hours = formats.opening(week, language)
    return (
        _(
            "Ce délai compte seulement les heures où l’équipe est là : %(hours)s, sauf les jours fériés.",
            hours=hours,
        ),
    )


def _cancelled(person: RegistrationView) -> State:
    if person.ended_by == "session" or person.session.standing is Standing.CANCELLED:
        return State("cancelled", _("Cet atelier est annulé."), _reason(person))
    if person.ended_by == "draw":
        return State("cancelled", _("Le tirage au sort de cet atelier a été annulé."), _reason(person))
    if person.ended_by == "staff":
        return State("cancelled", _("Nous avons annulé votre inscription."), _reason(person))
    if person.ended_by == "person":
        return State(
            "info",
            _("Votre inscription est annulée, comme vous l’avez demandé."),
            (_("Votre place est libre pour une autre personne. Merci !"),),
        )
    if person.ended_by == "silence":
        return State(
            "attention",
            _("Votre place est allée à une autre personne."),
            (_("Nous vous avons demandé deux fois si vous veniez, sans réponse."),),
        )
    if person.wait_id is not None:
        return State(
            "info", _("Vous n’attendez plus cette séance."), (_("Votre attente dit où vous en êtes."),)
        )
    return State("info", _("Votre inscription est annulée."))


def _transferred(there: Elsewhere, language: str) -> State:
    facts = there.facts
    return State(
        "info",
        _("Votre inscription est maintenant à l’atelier « %(title)s ».", title=facts.title),
        (_("C’est %(when)s, %(place)s.", when=_when(facts, language), place=place(facts)),),
    )


def _when(facts: SessionState, language: str) -> str:
    return formats.when(facts.starts_at, facts.ends_at, language)


def _reason(person: RegistrationView) -> tuple[LazyString, ...]:
    reason = person.reason or person.session.facts.cancel_reason
    return (_("Raison : %(reason)s", reason=formats.full_stop(reason.strip())),) if reason else ()


def _told_of_changes(person: RegistrationView) -> LazyString:
    return _("Si l’atelier change, nous vous prévenons %(route)s.", route=ROUTES[person.route])
