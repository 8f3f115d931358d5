"""An answer as programs and spreadsheets read it: JSON items, and CSV that no spreadsheet runs."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from libs.web.i18n import LazyString
from services.national.indicators.answering import Answer, LeftOut, Missing, Row
from services.national.indicators.asking import Question

Say = Callable[[LazyString], str]
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""
_FIGURE_COLUMNS: Final = (
    "value", "unit", "rounded", "numerator", "denominator", "n", "margin_low", "margin_high", "interval_low",
    "interval_high", "parts", "missing",
)  # fmt: skip


def item(row: Row) -> dict[str, Any]:
    """One figure: what doesn't apply to it is left out."""
    figure = row.figure
    found: dict[str, Any] = {"indicator": row.indicator.id}
    if row.measure.id:
        found["measure"] = row.measure.id
    found |= row.cell
    found |= {"value": figure.value, "unit": row.measure.unit, "rounded": figure.rounded}
    for name in ("numerator", "denominator", "n"):
        if getattr(figure, name) is not None:
            found[name] = getattr(figure, name)
    if figure.parts:
        found["parts"] = dict(figure.parts)
    if figure.margin:
        found["margin"] = list(figure.margin)
    if figure.interval:
        found["interval"] = list(figure.interval)
    if row.missing:
        found["missing"] = row.missing
    return found


def missing_item(one: Missing) -> dict[str, Any]:
    found: dict[str, Any] = {"instance": one.instance, "name": one.name, "why": one.why}
    if one.since:
        found["since"] = one.since
    if one.streams:
        found["streams"] = list(one.streams)
    return found | {"indicators": list(one.indicators)}


def left_out_item(one: LeftOut, say: Say) -> dict[str, Any]:
    return {"indicator": one.indicator.id, "why": say(one.why), "dimensions": list(one.indicator.dimensions)}


def table(answer: Answer) -> tuple[list[str], list[list[Any]]]:
    """The heads and rows of an answer; None where something doesn't apply."""
    by = list(answer.question.by)
    if any("instance" in row.cell for row in answer.rows) and "instance" not in by:
        by.append("instance")
    heads = ["indicator", "measure", *by, *_FIGURE_COLUMNS]
    return heads, [_line(row, by) for row in answer.rows]


def _line(row: Row, by: Sequence[str]) -> list[Any]:
    figure = row.figure
    low, high = figure.margin or (None, None)
    start, end = figure.interval or (None, None)
    parts = " ".join(f"{name}={value}" for name, value in figure.parts.items())
    cell = [row.cell.get(name) for name in by]
    said = [figure.value, row.measure.unit, "true" if figure.rounded else "false"]
    counts = [figure.numerator, figure.denominator, figure.n]
    return [
        row.indicator.id,
        row.measure.id,
        *cell,
        *said,
        *counts,
        low,
        high,
        start,
        end,
        parts,
        row.missing,
    ]


def as_csv(heads: Sequence[str], rows: Iterable[Sequence[Any]], *, spreadsheet: bool = False) -> bytes:
    """RFC 4180 in UTF-8. `spreadsheet`: for a double click in Québec, where Excel wants a byte order mark,
    semicolons and decimal commas.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";" if spreadsheet else ",", lineterminator="\r\n")
    writer.writerow(heads)
    for row in rows:
        writer.writerow([_field(value, spreadsheet=spreadsheet) for value in row])
    return text.getvalue().encode("utf-8-sig" if spreadsheet else "utf-8")


def _field(value: Any, *, spreadsheet: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return str(value).replace(".", ",") if spreadsheet else str(value)
    # An id comes from an instance: whatever it is, a spreadsheet must only show it.
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def described(question: Question) -> dict[str, Any]:
    """What the figures are of, for who finds the file later."""
    return {
        "by": list(question.by),
        "filters": {name: list(values) for name, values in question.filters.items()},
        "from": f"{question.first:%Y-%m}" if question.first else None,
        "to": f"{question.last:%Y-%m}" if question.last else None,
        "snapshot": f"{question.snapshot:%Y-%m}" if question.snapshot else None,
        "version": question.version,
    }
