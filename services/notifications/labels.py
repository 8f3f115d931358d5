"""The words for causes, routes, states and outcomes on the team's pages."""

from collections.abc import Mapping

from libs.web.i18n import LazyString, _
from services.notifications.mailing import is_reminder
from services.notifications.models import Attempt
from services.notifications.outcomes import OUTCOMES as OUTCOME_EFFECTS

_CAUSES: Mapping[str, LazyString] = {
    "confirmed": _("Dire que la personne a une place"),
    "pending": _("Dire que la demande est dans le tirage"),
    "waitlisted": _("Dire que la personne est en attente"),
    "offered": _("Proposer la place qui s’est libérée"),
    "offer_expired": _("Dire que la place n’est plus gardée"),
    "declined": _("Confirmer que la place est laissée"),
    "cancelled_by_person": _("Confirmer l’annulation demandée"),
    "cancelled_by_staff": _("Dire que l’inscription est annulée"),
    "session_changed": _("Annoncer un changement"),
    "volunteers_asked": _("Demander si la personne peut laisser sa place"),
    "reconfirm_asked": _("Demander si la personne vient toujours"),
    "released_unanswered": _("Dire que la place est libérée, sans réponse"),
    "session_cancelled": _("Annoncer que l’atelier est annulé"),
    "draw_cancelled": _("Annoncer que le tirage est annulé"),
    "transferred": _("Dire que la personne a changé d’atelier"),
    "wait_noted": _("Dire que l’attente de la personne est notée"),
    "wait_ended": _("Dire que l’attente est terminée"),
    "wait_over": _("Dire qu’aucune place n’a été trouvée"),
}
_REMINDER = _("Rappeler l’atelier")
_OTHER = _("Donner des nouvelles de l’inscription")

ROUTES: Mapping[str, LazyString] = {
    "email": _("Courriel"),
    "sms": _("SMS"),
    "mobile": _("Cellulaire"),
    "phone": _("Téléphone"),
    "postal": _("Lettre"),
}

STATES: Mapping[str, LazyString] = {
    "open": _("À faire"),
    "taken": _("En cours"),
    "later": _("À reprendre plus tard"),
    "unreached": _("Personne non jointe"),
    "done": _("Fait"),
    "superseded": _("Plus nécessaire"),
}

OUTCOMES: Mapping[str, LazyString] = {
    "reached": _("J’ai parlé à la personne"),
    "told": _("La personne le sait déjà, ou on le lui a dit autrement"),
    "posted": _("La lettre est postée"),
    "left_message": _("J’ai laissé un message"),
    "no_answer": _("Pas de réponse"),
    "wrong_number": _("Mauvais numéro"),
    "returned": _("La lettre est revenue"),
    "gave_up": _("Plusieurs essais sans succès"),
}

_BY_MACHINE: Mapping[str, LazyString] = {
    "sent": _("Parti"),
    "delivered": _("Bien arrivé"),
    "undelivered": _("N’est pas arrivé"),
    "refused": _("Refusé"),
    "delayed": _("N’a pas pu partir"),
}


def result(attempt: Attempt) -> LazyString:
    """What came of one try: « N’est pas arrivé (30003) », « J’ai laissé un message »."""
    words = _BY_MACHINE.get(attempt.result)
    if words is None:
        return OUTCOMES[attempt.result]
    return _("%(words)s (%(code)s)", words=words, code=attempt.code) if attempt.code else words


_OUTCOME_HELP: Mapping[str, LazyString] = {
    "left_message": _("L’appel reviendra dans la liste dans 4 heures."),
    "no_answer": _("L’appel reviendra dans la liste dans 2 heures."),
    "wrong_number": _("La liste proposera un autre moyen, s’il y en a un."),
    "returned": _("La liste proposera un autre moyen, s’il y en a un."),
    "gave_up": _("La liste proposera un autre moyen, s’il y en a un."),
}


_SOON_AGAIN = _("L’appel reviendra dans la liste avant la fin de l’offre.")


def outcome_help(name: str, pressing: bool) -> LazyString | str:
    """What follows an outcome, where that isn't plain; `pressing`: there is no time to wait for hours."""
    if pressing and OUTCOME_EFFECTS[name].effect == "again":
        return _SOON_AGAIN
    return _OUTCOME_HELP.get(name, "")


def cause(name: str) -> LazyString:
    """What is to be done: « Annoncer un changement ». Also for a cause that only a newer version knows."""
    return _REMINDER if is_reminder(name) else _CAUSES.get(name, _OTHER)
