"""What a person was told and by which way, line by line, for the team."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.messaging.contracts import Attempt, NoticeOutcome
from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext
from services.registrations.reaching import ROUTES, result_label
from services.registrations.registration_view import RegistrationView

CAUSES: Mapping[str, LazyString] = {
    "confirmed": _("Place confirmée"),
    "waitlisted": _("Mise en attente"),
    "offered": _("Place offerte"),
    "offer_expired": _("Délai passé"),
    "declined": _("Place laissée"),
    "cancelled_by_person": _("Annulation à sa demande"),
    "cancelled_by_staff": _("Annulation par l’équipe"),
    "session_cancelled": _("Atelier annulé"),
    "session_changed": _("Atelier changé"),
    "transferred": _("Transfert"),
    "volunteers_asked": _("Demande de laisser sa place"),
    "reconfirm_asked": _("Question : vient-elle toujours ?"),
    "released_unanswered": _("Place libérée, sans réponse"),
}
_OUTCOMES: Mapping[str, LazyString] = {
    "told": _("la personne est prévenue"),
    "waiting": _("à faire"),
    "not_told": _("la personne n’a pas été jointe"),
    "overtaken": _("remplacé par une nouvelle plus récente"),
}


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """One notice in words; `tried`: a part for each try."""

    label: LazyString
    outcome: LazyString
    tried: Sequence[LazyString]


def notice_lines(person: RegistrationView, language: str) -> list[NoticeLine]:
    """Every notice about the registration, oldest first."""
    return [
        NoticeLine(
            cause_label(notice),
            _OUTCOMES.get(notice.outcome) or _("à faire"),
            [_try(attempt, person, language) for attempt in notice.tried],
        )
        for notice in person.notices
    ]


def cause_label(notice: NoticeOutcome) -> LazyString:
    """What the notice is about, in a word or two."""
    if notice.cause.startswith("reminder_"):
        return _("Rappel")
    return CAUSES.get(notice.cause) or _("Message")


def _try(attempt: Attempt, person: RegistrationView, language: str) -> LazyString:
    route, result = ROUTES.get(attempt.route) or _("autrement"), result_label(attempt)
    if attempt.times > 1:
        result = ngettext(
            "%(result)s, %(count)s fois", "%(result)s, %(count)s fois", attempt.times, result=result
        )
    if attempt.at is None:
        return _("%(route)s : %(result)s", route=route, result=result)
    moment = formats.at(person.session.local(attempt.at), language)
    return _("%(route)s, %(moment)s : %(result)s", route=route, moment=moment, result=result)
