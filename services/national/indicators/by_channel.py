"""The country's equity report: what the instances' daily counts say of each channel, and who is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from libs.equity import Counts, Report, report
from libs.messaging.federated import NO_CHANNEL, Histogram
from services.national.figures import hearing
from services.national.indicators.answering import Missing, concerned, who_is_missing
from services.national.indicators.asking import Question
from services.national.indicators.counting import counted
from services.national.indicators.definitions import INDICATORS
from services.national.indicators.measures import (
    COUNT_DIMENSIONS,
    STATES,
    Count,
    Measure,
    of_buckets,
    of_states,
)
from services.national.rounding import Counted

INDICATED: Final = ("I4", "I7", "I9", "I10", "I19", "I20")
"""The indicators that the report tells apart by channel."""

_ANSWERS, _OPENINGS = of_buckets("answer_minutes"), of_buckets("minutes_from_opening")
_COUNTS: Final = {
    "registrations": of_states("created", *STATES),
    "seated": Count("confirmed_at_start", ("confirmed_at_start",)),
    "waiting": Count("waiting", ("waitlisted_at_start",)),
    "offers": Count("offers", ("offers_made",)),
    "accepted": Count("accepted", ("offers_accepted",)),
    "attended": of_states("attended", "attended"),
    "absent": of_states("absent", "absent"),
}
_MEASURE: Final = Measure(
    "", None, "counts", COUNT_DIMENSIONS, (*_COUNTS.values(), *_ANSWERS, *_OPENINGS), "total"
)
"""Everything that the report needs, so that one statement counts it."""


@dataclass(frozen=True, slots=True)
class Equity:
    """`report` is None where nobody who knows says anything: that isn't zero."""

    report: Report | None
    missing: Sequence[Missing]
    question: Question
    now: datetime


async def equity(session: AsyncSession, question: Question) -> Equity:
    """The report for the filters and the period of a question, exact."""
    heard = await hearing(session)
    asked = [(INDICATORS[id_], _MEASURE) for id_ in INDICATED]
    missing = who_is_missing(question, heard, asked)
    silent = {one.instance for one in missing if one.silent}
    about = concerned(question, heard.instances)
    cells = await counted(session, replace(question, by=("channel",)), [_MEASURE])
    by_channel = {channel or NO_CHANNEL: _counts(counts) for (channel,), counts in cells[_MEASURE].items()}
    nobody = not by_channel and len(silent) == len(about)
    return Equity(None if nobody else report(by_channel), missing, question, heard.now)


def _counts(counts: Mapping[str, Counted]) -> Counts:
    def buckets(named: Sequence[Count]) -> Histogram:
        return tuple(counts[count.name].n for count in named)

    return Counts(
        **{name: counts[count.name].n for name, count in _COUNTS.items()},
        answers=buckets(_ANSWERS),
        openings=buckets(_OPENINGS),
    )
