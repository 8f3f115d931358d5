"""Counts of facts in plain SQL: from cells of sessions, the sessions themselves, tallies and pulses."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs import vocabularies
from services.national.indicators.asking import Question
from services.national.indicators.measures import Count, Measure
from services.national.models import TALLY_PREFIXES
from services.national.rounding import Counted, summed

Key = tuple[str | None, ...]
"""The values of the dimensions asked for, in their order."""
Cells = Mapping[Key, Mapping[str, Counted]]
"""By key, then by the count's name."""

_SERVING: Final = "(select number from generation where state = 'serving')"
_QUEBEC: Final = [region.code for region in vocabularies.regions() if region.province == "CA-QC"]

_CELL_COLUMNS: Final = {
    "region": "nullif(region, '')",
    "month": "to_char(month, 'YYYY-MM')",
    "stream": "stream",
    "theme": "nullif(theme, '')",
    "modality": "modality",
    "instance": "instance",
}
_SESSION_COLUMNS: Final = {
    "region": "region",
    "month": "to_char(month, 'YYYY-MM')",
    "stream": "stream",
    "theme": "theme",
    "modality": "modality",
    "delivered_by": "delivered_by",
    "language": "language",
    "instance": "instance",
}
_TALLY_COLUMNS: Final = {
    "region": "region",
    "month": "to_char(month, 'YYYY-MM')",
    "stream": "stream",
    "theme": "theme",
    "channel": "channel",
    "modality": "modality",
    "instance": "instance",
    "state": "state",
}

_IN_CELLS: Final = {
    "held": "sum(sessions) filter (where status = 'held')",
    "cancelled": "sum(sessions) filter (where status = 'cancelled')",
    "scheduled": "sum(sessions)",
    "live": "sum(confirmed + offered + waitlisted) filter (where status <> 'cancelled')",
    "taken": "sum(confirmed) filter (where status = 'held')",
    "capacity": "sum(capacity) filter (where status = 'held')",
    "held_seats": "sum(held) filter (where status = 'published')",
    "regions": "count(distinct region) filter (where status = 'held' and sessions > 0 "
    "and region = any(:quebec))",
    "provinces": "count(distinct region) filter (where status = 'held' and sessions > 0 and region <> '' "
    "and region <> all(:quebec))",
    "all_regions": "cardinality(cast(:quebec as text[]))",
}
_IN_SESSIONS: Final = {
    "held": "count(*) filter (where status = 'held')",
    "cancelled": "count(*) filter (where status = 'cancelled')",
    "scheduled": "count(*)",
    "live": _IN_CELLS["live"],
    "taken": _IN_CELLS["taken"],
    "capacity": _IN_CELLS["capacity"],
    "held_seats": _IN_CELLS["held_seats"],
    "regions": "count(distinct region) filter (where status = 'held' and region = any(:quebec))",
    "provinces": "count(distinct region) filter (where status = 'held' and region <> all(:quebec))",
    "all_regions": _IN_CELLS["all_regions"],
}
_VENUES: Final = {"venues": "count(distinct venue_id)"}
_NOTICES: Final = {
    "notice": "round(percentile_cont(0.5) within group (order by greatest(0, "
    "extract(epoch from starts_at_utc - cancelled_at) / 60)))",
    "notices": "count(cancelled_at)",
}
_TELLS_APART: Final = frozenset({"delivered_by", "language"})
"""What the cells don't know, so that the sessions themselves must be read."""


async def counted(
    session: AsyncSession, question: Question, measures: Sequence[Measure]
) -> Mapping[Measure, Cells]:
    """The counts of each measure: one statement for each kind of fact, whatever the number of measures."""
    found: dict[Measure, Cells] = {}
    public = [one for one in measures if one.source == "sessions"]
    private = [one for one in measures if one.source == "counts"]
    if public:
        cells = await _of_sessions(session, question, [count for one in public for count in one.counts])
        found |= {one: _only(cells, one) for one in public}
    if private:
        cells = await _of_tallies(session, question, [count for one in private for count in one.counts])
        found |= {one: _only(cells, one) for one in private}
    fresh = [one for one in measures if one.source == "instances"]
    if fresh:
        cells = await _of_pulses(session, question)
        found |= {one: _only(cells, one) for one in fresh}
    return found


_ZERO: Final = Counted()


def _only(cells: Cells, measure: Measure) -> Cells:
    always = measure.source == "instances"
    return {
        key: {count.name: counts.get(count.name, _ZERO) for count in measure.counts}
        for key, counts in cells.items()
        if always or any(counts[one.name].n for one in measure.counts if one.varies and one.name in counts)
    }


async def _of_sessions(session: AsyncSession, question: Question, counts: Iterable[Count]) -> Cells:
    names = {count.name for count in counts}
    found: dict[Key, dict[str, Counted]] = defaultdict(dict)

    async def add(
        table: str, columns: Mapping[str, str], sums: Mapping[str, str], where: str = "true"
    ) -> None:
        wanted = {name: sql for name, sql in sums.items() if name in names}
        if not wanted:
            return
        given: dict[str, Any] = (
            {"quebec": _QUEBEC} if any(":quebec" in sql for sql in wanted.values()) else {}
        )
        rows = await _grouped(session, question, table, columns, wanted, where, given)
        for key, values in rows:
            found[key] |= {name: Counted(int(value or 0)) for name, value in values.items()}

    if question.names & _TELLS_APART:
        await add("session", _SESSION_COLUMNS, _IN_SESSIONS, "title is not null")
    else:
        await add("session_cell", _CELL_COLUMNS, _IN_CELLS)
    await add("session", _SESSION_COLUMNS, _VENUES, "status = 'held' and venue_id is not null")
    await add("session", _SESSION_COLUMNS, _NOTICES, "status = 'cancelled' and cancelled_at is not null")
    return found


async def _of_tallies(session: AsyncSession, question: Question, counts: Sequence[Count]) -> Cells:
    counts = list(dict.fromkeys(counts))
    if "state" in question.names:
        table = "tally cross join lateral jsonb_each_text(registrations) as s(state, n)"
        counts = [Count(count.name, (ANY_STATE,)) for count in counts]
    else:
        table = "tally"
    if question.rounded:
        return await _with_contributors(session, question, table, counts)
    sums = {f"n{number}": _sum_of(count) for number, count in enumerate(counts)}
    rows = await _grouped(session, question, table, _TALLY_COLUMNS, sums, "true", {})
    # Most counts of a small cell are zero: what isn't there is read as such.
    return {
        key: {
            count.name: Counted(int(n))
            for number, count in enumerate(counts)
            if (n := values[f"n{number}"]) is not None and n
        }
        for key, values in rows
    }


async def _with_contributors(
    session: AsyncSession, question: Question, table: str, counts: Sequence[Count]
) -> Cells:
    """As `_of_tallies`, with the facts that each count sums, for the rounding: they are added up here."""
    facts = list(dict.fromkeys(fact for count in counts for fact in count.facts))
    sums: dict[str, str] = {}
    for number, fact in enumerate(facts):
        sql = _sql_of(fact)
        identity = "'state:' || state" if fact == ANY_STATE else f"'{fact}'"
        bits = f"('x' || left(md5(instance || '/' || key || '#' || {identity}), 16))::bit(64)::bigint"
        sums |= {
            f"n{number}": f"sum({sql})",
            f"bits{number}": f"bit_xor({bits}) filter (where {sql} <> 0)",
            f"first{number}": f"to_char(min(month) filter (where {sql} <> 0), 'YYYY-MM')",
            f"last{number}": f"to_char(max(month) filter (where {sql} <> 0), 'YYYY-MM')",
        }
    rows = await _grouped(session, question, table, _TALLY_COLUMNS, sums, "true", {}, extra="channel")
    parts: dict[Key, dict[str, list[Counted]]] = defaultdict(lambda: defaultdict(list))
    for key, values in rows:
        known = {
            fact: Counted(
                int(values[f"n{number}"]),
                values[f"bits{number}"],
                values[f"first{number}"],
                values[f"last{number}"],
            )
            for number, fact in enumerate(facts)
            if values[f"n{number}"]
        }
        for count in counts:
            if not count.channels or values["extra"] in count.channels:
                parts[key][count.name] += [known[fact] for fact in count.facts if fact in known]
    base = {count.name: count.base for count in counts}
    return {
        key: {name: replace(summed(some), base=base[name]) for name, some in named.items()}
        for key, named in parts.items()
    }


ANY_STATE: Final = "state:"
"""The fact of whichever state a row is of, where registrations are told apart by it."""


def _sum_of(count: Count) -> str:
    """The SQL of a count. The names of facts and channels come from our own definitions."""
    channels = ", ".join(f"'{channel}'" for channel in count.channels)
    among = f" filter (where channel in ({channels}))" if channels else ""
    return f"sum({' + '.join(_sql_of(fact) for fact in count.facts)}){among}"


def _sql_of(fact: str) -> str:
    """The SQL of one fact of a tally; those of a document stand in columns made from it (see the models)."""
    if fact == ANY_STATE:
        return "n::bigint"
    kind, _sep, name = fact.partition(":")
    return f"{TALLY_PREFIXES[kind]}_{name}" if name else kind


async def _of_pulses(session: AsyncSession, question: Question) -> Cells:
    chosen = list(question.filters.get("instance", ()))
    rows = await session.execute(_PULSES, {"chosen": chosen, "all": not chosen})
    return {
        (row.slug,): {
            "age": Counted(row.age),
            "received": Counted(row.received),
            "declared": Counted(row.declared),
        }
        for row in rows
    }


_PULSES = sa.text(
    f"""
    select instance.slug,
        greatest(0, floor(extract(epoch from clock.decision_time() - pulse.received_at)))::bigint as age,
        (pulse.sessions + pulse.seats + pulse.tallies)::bigint as received,
        coalesce((select sum((said->>'count')::bigint) from jsonb_each(pulse.streams) as s(stream, said)
            where stream in ('sessions', 'seats', 'tallies')), 0)::bigint as declared
    from pulse join instance on instance.slug = pulse.instance and instance.status <> 'retired'
    where pulse.generation = {_SERVING} and (:all or instance.slug = any(:chosen))
    order by instance.slug
    """  # noqa: S608  # no value stands in it
)


async def _grouped(
    session: AsyncSession,
    question: Question,
    table: str,
    columns: Mapping[str, str],
    sums: Mapping[str, str],
    where: str,
    given: dict[str, Any],
    *,
    extra: str = "",
) -> list[tuple[Key, dict[str, Any]]]:
    """(key, sums by name) of the rows that the question is about. No value stands in the statement itself."""
    clauses = [f"generation = {_SERVING}", where]
    if question.first:
        clauses.append("month >= :first")
        given["first"] = question.first
    if question.last:
        clauses.append("month <= :last")
        given["last"] = question.last
    for name, values in question.filters.items():
        # The empty value asks for what has none.
        given[f"f_{name}"] = [value for value in values if value]
        none = f" or {columns[name]} is null" if "" in values else ""
        clauses.append(f"({_plain(columns, name)} = any(:f_{name}){none})")
    keys = [f"{columns[name]} as d{number}" for number, name in enumerate(question.by)]
    if extra:
        keys.append(f"{extra} as extra")
    group = f" group by {', '.join(str(number + 1) for number in range(len(keys)))}" if keys else ""
    shown = ", ".join([*keys, *(f"{sql} as {name}" for name, sql in sums.items())])
    statement = f"select {shown} from {table} where {' and '.join(clauses)}{group}"  # noqa: S608
    found = []
    for row in (await session.execute(sa.text(statement), given)).mappings():
        key = tuple(row[f"d{number}"] for number in range(len(question.by)))
        found.append((key, {name: row[name] for name in (*sums, *(("extra",) if extra else ()))}))
    return found


def _plain(columns: Mapping[str, str], name: str) -> str:
    """The column to compare with a value: bare, so that an index can serve."""
    return name if columns[name].startswith("nullif") else columns[name]
