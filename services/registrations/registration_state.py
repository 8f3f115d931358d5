"""The sentence that says where somebody stands, on their own page and over the telephone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.opening_hours import Ranges
from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext
from services.registrations.explaining import waits_for_more
from services.registrations.registration_view import ROUTES, Elsewhere, RegistrationView
from services.registrations.session_view import people_ahead, place
from services.registrations.standing import Standing


@dataclass(frozen=True, slots=True)
class State:
    """A state in words: what is so, and what comes next. `kind` names the colour of the box."""

    kind: str
    text: LazyString
    details: tuple[LazyString, ...] = field(default=())


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
        case "expired":
            return _expired(person.seats)
        case "declined":
            return _declined(person.seats)
    return _PLAIN[person.status]


_PLAIN = {
    "pending": State(
        "waiting", _("Nous étudions votre demande."), (_("Vous n’avez rien à faire pour le moment."),)
    ),
    "attended": State("done", _("Vous avez participé à cet atelier."), (_("Merci !"),)),
    "absent": State("info", _("Cet atelier est terminé."), (_("Nous avons noté votre absence."),)),
    "excused": State("info", _("Cet atelier est terminé."), (_("Votre absence est excusée."),)),
}


def _expired(seats: int) -> State:
    return State(
        "attention",
        ngettext(
            "La place n’est plus gardée pour vous.",
            "Les %(count)s places ne sont plus gardées pour vous.",
            seats,
        ),
        (
            _("Le délai pour répondre est passé."),
            ngettext(
                "La place est allée à la personne suivante.",
                "Les places sont allées aux personnes suivantes.",
                seats,
            ),
        ),
    )


def _declined(seats: int) -> State:
    return State(
        "info",
        ngettext("Vous avez laissé la place.", "Vous avez laissé les places.", seats),
        (
            ngettext(
                "Elle est allée à la personne suivante.", "Elles sont allées aux personnes suivantes.", seats
            ),
            _("Merci !"),
        ),
    )


_SAID_YES = _("Vous nous avez dit que vous venez. Merci !")


def _confirmed(person: RegistrationView) -> State:
    match person.session.standing:
        case Standing.CANCELLED:
            return State("cancelled", _("Cet atelier est annulé."))
        case Standing.OVER:
            return State(
                "info",
                _("Cet atelier est terminé."),
                (ngettext("Vous aviez une place.", "Vous aviez %(count)s places.", person.seats),),
            )
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
        (number, _("Faire sa demande tôt ou tard donne la même chance."), told, nothing),
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
            (
                ngettext(
                    "Votre place est libre pour une autre personne. Merci !",
                    "Vos places sont libres pour d’autres personnes. Merci !",
                    person.seats,
                )
                if person.had_seat
                else _("Vous n’attendez plus de place. Merci de nous l’avoir dit."),
            ),
        )
    if person.ended_by == "silence":
        return State(
            "attention",
            ngettext(
                "Votre place est allée à une autre personne.",
                "Vos %(count)s places sont allées à d’autres personnes.",
                person.seats,
            ),
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
        (_("C’est %(when)s, %(place)s.", when=there.when(language), place=place(facts)),),
    )


def _reason(person: RegistrationView) -> tuple[LazyString, ...]:
    reason = person.reason or person.session.facts.cancel_reason
    return (_("Raison : %(reason)s", reason=formats.full_stop(reason.strip())),) if reason else ()


def _told_of_changes(person: RegistrationView) -> LazyString:
    return _("Si l’atelier change, nous vous prévenons %(route)s.", route=ROUTES[person.route])
