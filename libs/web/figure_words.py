"""What stands beside a figure in words: the range of a median, and that too few are counted."""

from datetime import timedelta
from typing import Final

from libs.figures import FEWEST
from libs.web.formats import elapsed
from libs.web.i18n import LazyString, _

TOO_FEW: Final = _("moins de %(fewest)s : trop peu", fewest=FEWEST)


def interval_words(low: float, high: float | None, language: str) -> LazyString:
    """Minutes between which a median lies; `high` is None where there is no end."""
    if high is None:
        return _("plus de %(low)s", low=minutes_words(low, language))
    if low == 0:
        return _("au plus %(high)s", high=minutes_words(high, language))
    return _(
        "entre %(low)s et %(high)s", low=minutes_words(low, language), high=minutes_words(high, language)
    )


def minutes_words(value: float, language: str) -> str:
    """« 30 s », « 15 min », « 2 h 10 », « 3 jours »."""
    return elapsed(timedelta(minutes=value), language)
