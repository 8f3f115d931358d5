"""The national pages' own words for ids; an unknown id is shown as it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from libs import vocabularies
from libs.web.i18n import LazyString, _
from services.national.filters import NO_REGION
from services.national.freshness import Standing

STREAMS: Mapping[str, LazyString] = {
    "public": _("Grand public"),
    "pro": _("Espace pro"),
}
MODALITIES: Mapping[str, LazyString] = {
    "on_site": _("Sur place"),
    "online": _("En ligne"),
    "hybrid": _("Sur place et en ligne"),
}
SEAT_KINDS: Mapping[str, LazyString] = {"on_site": _("Sur place"), "online": _("En ligne")}
LANGUAGES: Mapping[str, LazyString] = {"fr": _("En français"), "en": _("En anglais")}
STATUSES: Mapping[str, LazyString] = {
    "published": _("Annoncée"),
    "held": _("Tenue"),
    "cancelled": _("Annulée"),
}
OUTCOMES: Mapping[str, LazyString] = {
    "attended": _("Présences"),
    "absent": _("Absences"),
    "excused": _("Absences excusées"),
    "cancelled": _("Désistements"),
    "expired": _("Offres sans réponse"),
    "declined": _("Offres refusées"),
}
LEVELS: Mapping[str, LazyString] = {
    "nothing": _("rien"),
    "sessions": _("les séances et leurs places"),
    "counts": _("les séances et les décomptes"),
    "profile": _("les séances, les décomptes et les profils"),
}
SHORT_LEVELS: Mapping[str, LazyString] = {
    "nothing": _("non partagé"),
    "sessions": _("séances"),
    "counts": _("décomptes"),
    "profile": _("profils"),
}
"""Each level holds the ones before it."""
STANDINGS: Mapping[Standing, LazyString] = {
    Standing.LIVE: _("En ligne"),
    Standing.OFFLINE: _("Hors ligne"),
    Standing.NEVER: _("Jamais entendu"),
    Standing.SUSPENDED: _("Suspendu"),
    Standing.RETIRED: _("Retiré"),
}
DATA_STREAMS: Mapping[str, LazyString] = {
    "sessions": _("Séances"),
    "seats": _("Places"),
    "tallies": _("Décomptes"),
}
REASONS: Mapping[str, LazyString] = {
    "unsigned": _("Sans signature"),
    "bad-signature": _("Signature fausse"),
    "unknown-instance": _("Instance inconnue"),
    "suspended-instance": _("Instance suspendue"),
    "unknown-key": _("Clé inconnue"),
    "key-not-valid": _("Clé échue ou révoquée"),
    "wrong-source": _("Au nom d’une autre instance"),
    "not-theirs": _("Séance d’une autre instance"),
    "region-not-theirs": _("Région d’une autre instance"),
    "unconfirmed-epoch": _("Restauration à confirmer"),
    "malformed": _("Message illisible"),
}

DECISIONS: Mapping[str, LazyString] = {
    "registered": _("Inscrite au registre"),
    "renamed": _("Renommée"),
    "regions": _("Régions changées"),
    "key-added": _("Clé inscrite"),
    "key-ended": _("Fin d’une clé"),
    "key-revoked": _("Clé révoquée"),
    "suspended": _("Suspendue"),
    "active": _("Remise en activité"),
    "retired": _("Retirée"),
    "epoch-confirmed": _("Restauration confirmée"),
    "session-given": _("Séance attribuée"),
}


def label(words: Mapping[Any, LazyString], id_: str) -> LazyString | str:
    """The words for an id; a newer peer's id stands for itself."""
    return words.get(id_, id_)


def theme(id_: str, language: str) -> LazyString | str:
    return vocabularies.label("themes", id_, language) if id_ else _("Sans sujet")


def region(code: str, language: str) -> LazyString | str:
    """A region's name; sessions online that belong to none are named as such."""
    return vocabularies.region_name(code, language) if code and code != NO_REGION else _("Sans région")


def choices(words: Mapping[str, LazyString], everything: LazyString) -> Sequence[tuple[str, LazyString]]:
    """`(id, label)` pairs for a filter, with no choice first."""
    return [("", everything), *words.items()]
