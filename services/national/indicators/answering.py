"""The answer to a question: the figures, what may be said of them, and who is missing from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from libs.web.i18n import LazyString, _
from services.national.figures import hearing
from services.national.freshness import VOLETS, Heard, Hearing, Standing
from services.national.indicators.asking import Question
from services.national.indicators.counting import Cells, Key, counted
from services.national.indicators.definitions import Indicator
from services.national.indicators.measures import Measure
from services.national.indicators.presenting import Figure, present
from services.national.rounding import Counted, published


@dataclass(frozen=True, slots=True)
class Row:
    """One figure in its cell: what its counts say, or None where nobody knows them, never zero.

    `missing`: why nobody does.
    """

    indicator: Indicator
    measure: Measure
    cell: Mapping[str, str | None]
    counts: Mapping[str, Counted] | None
    missing: str = ""

    @property
    def figure(self) -> Figure:
        """Worked out when it is looked at: of a long answer only a page is."""
        return Figure(None) if self.counts is None else present(self.measure, self.counts)


@dataclass(frozen=True, slots=True)
class Missing:
    """An instance that is missing from some figures, or whose figures are old: never a zero.

    `why` is `never-heard`, `offline`, `suspended` or `not-shared` (of these streams, for these indicators).
    `silent`: there is no figure of it at all; else the figures hold what it last said, or shares.
    """

    instance: str
    name: str
    why: str
    since: datetime | None = None
    streams: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()
    regions: frozenset[str] = frozenset()
    silent: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An indicator that can't be told apart as the question wants."""

    indicator: Indicator
    why: LazyString


@dataclass(frozen=True, slots=True)
class Answer:
    question: Question
    rows: Sequence[Row]
    missing: Sequence[Missing]
    left_out: Sequence[LeftOut]
    now: datetime

    def first(self, indicator: str, measure: str = "") -> Row | None:
        """The row of a measure, for a question that isn't told apart."""
        return next(
            (
                r
                for r in self.rows
                if r.indicator.id == indicator and (not measure or r.measure.id == measure)
            ),
            None,
        )


async def answer(session: AsyncSession, question: Question, key: bytes) -> Answer:
    """Count, round if it is to be published (`key`: `rounding.national_key`), and say what follows."""
    heard = await hearing(session)
    asked = measures_of(question)
    cells = await counted(session, question, list(dict.fromkeys(measure for _one, measure in asked)))
    missing = who_is_missing(question, heard, asked)
    return said(question, cells, missing, len(concerned(question, heard.instances)), heard.now, key)


def measures_of(question: Question) -> list[tuple[Indicator, Measure]]:
    """What a question is answered with."""
    return [(one, measure) for one in question.asked for measure in question.measures(one)]


def said(
    question: Question,
    cells: Mapping[Measure, Cells],
    missing: Sequence[Missing],
    instances: int,
    now: datetime,
    key: bytes,
) -> Answer:
    """The answer from counts, whoever kept them; `instances`: how many the question is about."""
    asked = measures_of(question)
    rows: list[Row] = []
    for indicator, measure in asked:
        rows += _rows(question, indicator, measure, cells[measure], missing, instances, key)
    shown = {indicator.id for indicator, _measure in asked}
    left_out = [LeftOut(one, _NOT_SO) for one in question.asked if one.id not in shown]
    return Answer(question, rows, missing, left_out, now)


_NOT_SO = _("Cet indicateur ne se répartit pas ainsi.")


def _rows(
    question: Question,
    indicator: Indicator,
    measure: Measure,
    cells: Cells,
    missing: Sequence[Missing],
    instances: int,
    key: bytes,
) -> Iterable[Row]:
    columns = question.columns(measure)
    rows = []
    for values, counts in sorted(cells.items(), key=lambda item: _order(item[0])):
        said = publish(counts, key) if question.rounded else counts
        # A row that is there only because its true count isn't zero would say so.
        if measure.source == "instances" or any(
            said[count.name].n for count in measure.counts if count.varies
        ):
            rows.append(Row(indicator, measure, dict(zip(columns, values, strict=True)), said))
    return rows + list(_unsaid(indicator, measure, columns, rows, missing, instances))


def publish(counts: Mapping[str, Counted], key: bytes) -> Mapping[str, Counted]:
    """Counts as they may be published, each rounded from its own."""
    return {name: published(count, key) for name, count in counts.items()}


def _order(key: Key) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, value or "") for value in key)


def _unsaid(
    indicator: Indicator,
    measure: Measure,
    columns: Sequence[str],
    rows: Sequence[Row],
    missing: Sequence[Missing],
    instances: int,
) -> Iterable[Row]:
    """The total, or the regions and instances, of which there is no figure: zero if somebody would know."""
    without = [one for one in missing if one.silent and indicator.id in one.indicators]
    if not columns and not rows:
        nobody = len({one.instance for one in without}) == instances
        counts = {count.name: Counted() for count in measure.counts}
        why = without[0].why if without and nobody else ""
        yield Row(indicator, measure, {}, None if nobody else counts, missing=why)
    if tuple(columns) == ("instance",):
        known = {row.cell["instance"] for row in rows}
        for one in without:
            if one.instance not in known:
                yield Row(indicator, measure, {"instance": one.instance}, None, missing=one.why)
    if tuple(columns) == ("region",):
        known = {row.cell["region"] for row in rows}
        for region in sorted({region for one in without for region in one.regions} - known):
            why = next(one.why for one in without if region in one.regions)
            yield Row(indicator, measure, {"region": region}, None, missing=why)


def who_is_missing(
    question: Question, heard: Hearing, asked: Sequence[tuple[Indicator, Measure]]
) -> list[Missing]:
    """The instances that the question is about and whose figures are missing or old."""
    found = []
    for one in concerned(question, heard.instances):
        standing = one.standing(heard.now)
        everything = tuple(dict.fromkeys(indicator.id for indicator, _measure in asked))
        if standing is Standing.NEVER:
            found.append(
                Missing(one.slug, one.name, "never-heard", None, (), everything, one.regions, silent=True)
            )
            continue
        if standing in (Standing.OFFLINE, Standing.SUSPENDED):
            why = str(standing.value)
            found.append(Missing(one.slug, one.name, why, one.received_at, (), everything, one.regions))
        found += _not_shared(question, one, asked)
    return found


def concerned(question: Question, instances: Iterable[Heard]) -> list[Heard]:
    """The instances that a question is about."""
    regions, slugs = question.filters.get("region", ()), question.filters.get("instance", ())
    return [
        one
        for one in instances
        if (not slugs or one.slug in slugs) and (not regions or not one.regions or one.regions & set(regions))
    ]


def _not_shared(
    question: Question, one: Heard, asked: Sequence[tuple[Indicator, Measure]]
) -> Iterable[Missing]:
    streams = question.filters.get("stream", VOLETS)
    lacking: dict[tuple[str, ...], list[str]] = {}
    for indicator, measure in asked:
        if measure.source == "instances":
            continue
        withheld = tuple(stream for stream in streams if one.withheld(stream, measure.source))
        if withheld and indicator.id not in lacking.setdefault(withheld, []):
            lacking[withheld].append(indicator.id)
    for withheld, indicators in lacking.items():
        silent = len(withheld) == len(streams)
        yield Missing(
            one.slug, one.name, "not-shared", None, withheld, tuple(indicators), one.regions, silent=silent
        )
