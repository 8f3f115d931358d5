"""The words for volets, levels and streams on the page of sharing, and what a decision will do."""

from collections.abc import Mapping

from libs.messaging.federated import LEVELS
from libs.web.i18n import LazyString, _, ngettext
from services.exporter.sharing import lets_out, rank

VOLETS: Mapping[str, LazyString] = {
    "public": _("Activités grand public"),
    "pro": _("Formations professionnelles"),
}
LEVEL_NAMES: Mapping[str, LazyString] = {
    "nothing": _("Rien"),
    "sessions": _("Les ateliers et leurs places"),
    "counts": _("Les ateliers, et les décomptes de chaque jour"),
    "profile": _("Les ateliers, les décomptes, et le profil arrondi"),
}
LEVEL_HELP: Mapping[str, LazyString] = {
    "nothing": _("Au national, on lit « non partagé »."),
    "sessions": _("Ce que le calendrier public montre déjà."),
    "counts": _("Des inscriptions, des présences et des délais, en nombres seulement."),
    "profile": _("Des nombres de personnes par groupe, arrondis à 5 dans votre région."),
}
STREAMS: Mapping[str, LazyString] = {
    "sessions": _("Les ateliers"),
    "seats": _("Les places"),
    "tallies": _("Les décomptes et le profil"),
    "heartbeat": _("Le signal de présence"),
}

_NOT_SHARED: Mapping[str, LazyString] = {
    "sessions": _("Au national, on lira « non partagé » pour ces ateliers, jamais zéro."),
    "counts": _("Au national, on lira « non partagé » pour les décomptes, jamais zéro."),
    "profile": _("Au national, on lira « non partagé » pour le profil, jamais zéro."),
}
_NOW_SHARED: Mapping[str, LazyString] = {
    "sessions": _("Les ateliers et leurs places partiront tout de suite, puis à chaque changement."),
    "counts": _("Les décomptes connus partiront tout de suite, puis chaque jour."),
    "profile": _("Le profil connu partira tout de suite, puis chaque mois."),
}


def level_choices() -> list[dict[str, object]]:
    """Every level, as `forms.radios` wants them."""
    return [{"value": level, "label": LEVEL_NAMES[level], "help": LEVEL_HELP[level]} for level in LEVELS]


def consequences(before: str, after: str, taken_back: Mapping[str, int]) -> list[LazyString]:
    """What a decision will do to the national view. `taken_back`: how many things of each stream go."""
    sentences: list[LazyString] = []
    if rank(after) > rank(before):
        sentences += [
            _NOW_SHARED[name] for name in LEVELS[1:] if lets_out(after, name) and not lets_out(before, name)
        ]
    else:
        if count := taken_back["sessions"]:
            sentences.append(
                ngettext(
                    "%(count)s atelier sera retiré de la vue nationale, avec ses places.",
                    "%(count)s ateliers seront retirés de la vue nationale, avec leurs places.",
                    count,
                )
            )
        if count := taken_back["tallies"]:
            sentences.append(
                ngettext(
                    "%(count)s décompte sera retiré de la vue nationale.",
                    "%(count)s décomptes seront retirés de la vue nationale.",
                    count,
                )
            )
        sentences += [
            _NOT_SHARED[name] for name in LEVELS[1:] if lets_out(before, name) and not lets_out(after, name)
        ]
        sentences.append(_("Les chiffres que le programme national a déjà publiés restent publiés."))
    sentences.append(_("Rien ne change pour les personnes inscrites, ni au calendrier."))
    return sentences
