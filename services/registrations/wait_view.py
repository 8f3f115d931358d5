"""A wait in words: what it is for, where it stands, and what becomes of each stop."""

from dataclasses import dataclass
from datetime import datetime

from libs import vocabularies
from libs.clock import zone
from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext
from services.registrations.models import Wait
from services.registrations.page_queries import route_of
from services.registrations.registration_state import State
from services.registrations.registration_view import ROUTES, STATUSES
from services.registrations.session_view import people_ahead, place
from services.registrations.wait_queries import Stop

WAIT_STATES = {
    "open": _("En attente"),
    "found": _("A une place"),
    "ended": _("N’attend plus"),
    "over": _("Sans place, dernier jour passé"),
}
"""What became of a wait, in a word for the team."""


@dataclass(frozen=True, slots=True)
class StopView:
    """One stop in words; `answers`: a seat is kept, and the person may say yes or no to it."""

    stop: Stop
    url: str
    text: LazyString
    where: LazyString | str

    @property
    def answers(self) -> bool:
        return self.stop.registration.status == "offered"


def theme_of(wait: Wait, language: str) -> str:
    """« Le courriel »."""
    return vocabularies.label("themes", wait.theme, language)


def places_of(wait: Wait, language: str) -> LazyString | str:
    """« Estrie, Montérégie », « à 25 km ou moins de Sherbrooke »."""
    if wait.km is not None:
        return _(
            "à %(distance)s ou moins de %(place)s",
            distance=formats.distance(wait.km, language),
            place=wait.place or _("l’endroit choisi"),
        )
    if wait.regions:
        return formats.listing([vocabularies.region_name(code, language) for code in wait.regions], language)
    return _("partout")


def state_of_wait(wait: Wait, stops: list[Stop], language: str) -> State:
    """The sentence at the top of the wait's page, also read to the person over the telephone."""
    kept = sum(stop.registration.status == "offered" for stop in stops)
    match wait.status:
        case "found":
            return State("done", _("Vous avez une place."), (_("Votre attente est terminée."),))
        case "over":
            return State(
                "info",
                _("Votre attente est terminée : le dernier jour est passé."),
                (_("Nous n’avons pas trouvé de place. Nous en sommes désolés."),),
            )
        case "ended":
            return State("info", _("Votre attente est terminée."), (_("Vous n’attendez plus aucune place."),))
    if kept:
        return State(
            "attention",
            ngettext("Une place est gardée pour vous.", "%(count)s places sont gardées pour vous.", kept),
            (_("Dites oui ou non. Un seul oui termine votre attente."),),
        )
    waiting = sum(stop.registration.status == "waitlisted" for stop in stops)
    lines = (
        ngettext(
            "Vous êtes sur la liste d’attente d’une séance.",
            "Vous êtes sur la liste d’attente de %(count)s séances.",
            waiting,
        )
        if waiting
        else _("Aucune séance ne correspond pour le moment.")
    )
    return State(
        "waiting",
        _("Votre attente est notée."),
        (
            lines,
            _("Dès qu’une place est libre, nous vous prévenons %(route)s.", route=ROUTES[route_of(wait)]),
            _("Vous n’avez rien à faire."),
        ),
    )


def stop_view(stop: Stop, url: str, now: datetime, language: str) -> StopView:
    """One stop, with the address of its own page."""
    person = stop.registration
    where = place(stop.facts, person.seat_kind)
    if person.status == "offered" and person.offer_expires_at is not None:
        here = zone(stop.facts.timezone)
        end = person.offer_expires_at.astimezone(here)
        deadline = formats.full_stop(formats.deadline(end, now.astimezone(here), language))
        return StopView(
            stop, url, _("Une place est gardée pour vous. Répondez %(deadline)s", deadline=deadline), where
        )
    if person.status == "waitlisted" and stop.facts.starts_at_utc <= now:
        return StopView(stop, url, _("Aucune place ne s’est libérée à temps."), where)
    if stop.position is not None:
        ahead = people_ahead(stop.position - 1)
        return StopView(stop, url, _("Vous êtes en attente : %(ahead)s.", ahead=ahead), where)
    return StopView(stop, url, _STOPS.get(person.status, STATUSES[person.status]), where)


_STOPS = {
    "confirmed": _("Vous avez une place."),
    "expired": _("Le délai pour répondre est passé."),
    "declined": _("Vous avez laissé la place."),
    "cancelled": _("Vous n’attendez plus cette séance."),
}
