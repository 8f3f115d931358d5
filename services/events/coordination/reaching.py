"""Reaching: how many people a change will be told to and by which route, in words."""

from collections import Counter
from collections.abc import Iterable, Mapping

from libs.web.i18n import LazyString, _, ngettext

_BY_CALL = ("mobile", "phone")
"""Without an SMS gateway a mobile is called like any telephone."""


def together(reaches: Iterable[Mapping[str, int]]) -> Counter[str]:
    """The reach of several sessions as one."""
    total: Counter[str] = Counter()
    for reach in reaches:
        total.update({route: count for route, count in reach.items() if count > 0})
    return total


def people(by_route: Mapping[str, int]) -> int:
    """How many will be told."""
    return sum(max(count, 0) for count in by_route.values())


def told(by_route: Mapping[str, int]) -> LazyString:
    """« 9 personnes seront averties : 7 par courriel, 2 par téléphone (il faudra les appeler). »"""
    total = people(by_route)
    if not total:
        return _("Personne n’est inscrit : personne n’a à être averti.")
    return ngettext(
        "%(count)s personne sera avertie : %(routes)s.",
        "%(count)s personnes seront averties : %(routes)s.",
        total,
        routes=_routes(by_route),
    )


def _routes(by_route: Mapping[str, int]) -> LazyString:
    calls = sum(by_route.get(route, 0) for route in _BY_CALL)
    letters = by_route.get("postal", 0)
    others = people(by_route) - by_route.get("email", 0) - calls - letters
    parts = [
        (
            by_route.get("email", 0),
            ngettext("%(count)s par courriel", "%(count)s par courriel", by_route.get("email", 0)),
        ),
        (
            calls,
            ngettext(
                "%(count)s par téléphone (il faudra l’appeler)",
                "%(count)s par téléphone (il faudra les appeler)",
                calls,
            ),
        ),
        (
            letters,
            ngettext(
                "%(count)s par la poste (il faudra lui écrire)",
                "%(count)s par la poste (il faudra leur écrire)",
                letters,
            ),
        ),
        (others, ngettext("%(count)s autrement", "%(count)s autrement", others)),
    ]
    said = [words for count, words in parts if count > 0]
    text = said[0]
    for following in said[1:]:
        text = _("%(first)s, %(second)s", first=text, second=following)
    return text
