"""Why figures aren't whole, and because of whom: silence and what isn't shared are never zero."""

from collections.abc import Sequence
from typing import Final

from libs.web import formats
from libs.web.i18n import LazyString, _, ngettext, translate
from services.national import labels
from services.national.filters import NO_REGION, Filters
from services.national.freshness import Heard, Hearing, Standing

PACKAGE: Final = "services.national"


def concerned(hearing: Hearing, filters: Filters) -> list[Heard]:
    """The instances whose figures the filters ask for."""
    region = filters.region if filters.region != NO_REGION else ""
    return hearing.concerned(region, filters.instance)


def incomplete(
    hearing: Hearing, filters: Filters, language: str, *, level: str = "sessions"
) -> list[LazyString]:
    """One sentence per reason; none where everything is known. `level`: what must be shared for it."""
    ours, now, stream = concerned(hearing, filters), hearing.now, filters.stream
    silent = [one for one in ours if one.standing(now) is not Standing.LIVE]
    nothing = [one for one in ours if one.shares_nothing(stream, level)]
    reasons = [
        (_KNOWN, [one for one in silent if one.received_at is not None]),
        (_NEVER, [one for one in silent if one.received_at is None]),
        (_UNSHARED, nothing),
    ]
    found = [
        LazyString(text.msgid, params={"names": listed([one.name for one in which], language)})
        for text, which in reasons
        if which
    ]
    for volet, words in labels.STREAMS.items() if not stream else ():
        partly = [one.name for one in ours if one not in nothing and volet in one.withheld(level=level)]
        if partly:
            names = listed(partly, language)
            found.append(_("Volet « %(volet)s » non partagé : %(names)s.", volet=words, names=names))
    return found


_KNOWN = _("Derniers chiffres connus seulement : %(names)s.")
_NEVER = _("Rien n’est encore arrivé de : %(names)s.")
_UNSHARED = _("Non partagé : %(names)s.")


def listed(names: Sequence[str], language: str, most: int = 6) -> str:
    """« a, b et c »; beyond `most`, how many others there are."""
    if len(names) <= most:
        return formats.listing(names, language)
    rest = translate(
        ngettext("%(count)s autre", "%(count)s autres", len(names) - most + 1), language, PACKAGE
    )
    return formats.listing([*names[: most - 1], rest], language)
