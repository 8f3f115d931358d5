"""Shorter, plainer words than the vocabularies' own, for the calendar; an unknown id is shown as it is."""

from collections.abc import Mapping

from libs.web.i18n import LazyString, _

STREAMS: Mapping[str, LazyString] = {
    "public": _("Pour tout le monde"),
    "pro": _("Pour le personnel et les bénévoles"),
}

MODALITIES: Mapping[str, LazyString] = {
    "on_site": _("Sur place"),
    "online": _("En ligne, par vidéo"),
    "hybrid": _("Sur place ou en ligne"),
}

LANGUAGES: Mapping[str, LazyString] = {
    "fr": _("En français"),
    "en": _("En anglais"),
}

PERIODS: Mapping[str, LazyString] = {
    "week": _("Cette semaine"),
    "month": _("Ce mois-ci"),
    "next_month": _("Le mois prochain"),
}

KINDS: Mapping[str, LazyString] = {
    "workshop": _("Atelier"),
    "training_day": _("Journée de formation"),
    "pro_event": _("Événement professionnel"),
    "drop_in": _("Aide sans rendez-vous"),
    "self_training": _("À faire par soi-même"),
}

ACCESS: Mapping[str, LazyString] = {
    "step_free": _("Accès sans marche"),
    "hearing_loop": _("Boucle auditive"),
    "large_print": _("Documents en gros caractères"),
    "accessible_toilet": _("Toilettes accessibles"),
    "accessible_parking": _("Stationnement réservé"),
    "parking": _("Stationnement"),
    "lift": _("Ascenseur"),
    "elevator": _("Ascenseur"),
    "automatic_door": _("Porte automatique"),
    "public_transport": _("Près d’un arrêt d’autobus"),
    "service_animal": _("Animal d’assistance bienvenu"),
    "quiet_room": _("Salle calme"),
    "tablet_loan": _("Prêt d’une tablette"),
    "computer_loan": _("Prêt d’un ordinateur"),
}


def label(words: Mapping[str, LazyString], id_: str | None) -> LazyString | str | None:
    """The words for an id; a newer peer's id stands for itself, and nothing stays nothing."""
    if not id_:
        return None
    return words.get(id_, id_)
