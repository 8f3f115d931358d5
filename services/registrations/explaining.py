"""Explaining: why somebody stands where they stand in the line, in words for anybody who asks (rule S4)."""

from libs.web.i18n import LazyString, _, ngettext


def why(seq: int, ahead: int) -> LazyString:
    """« Demande numéro 14. 2 personnes ont demandé avant et attendent encore. »

    `seq` is the number given when the request arrived, whatever its channel; `ahead` how many of those
    with a smaller one still wait.
    """
    return _("Demande numéro %(seq)s. %(ahead)s", seq=seq, ahead=_ahead(ahead))


def _ahead(count: int) -> LazyString:
    if count == 0:
        return _("Personne n’attend depuis plus longtemps.")
    return ngettext(
        "Une personne a demandé avant et attend encore.",
        "%(count)s personnes ont demandé avant et attendent encore.",
        count,
    )
