"""Bar charts as SVG that a screen reader, a printer and a narrow window can all use; drawn from plain numbers.

Lengths along the bars are per cent of the chart's width and everything else is in em, so that a chart fills
any window, its texts stay as large as the reader wants them, and none of them is ever squeezed. The same
numbers always stand in a table beside it: `Chart.rows` is what both are made from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

SIDE_LABEL: Final = 12
"""So many characters still fit beside the bars; longer labels stand above them."""
LINE: Final = 30
"""Characters in a line above a bar: what 284 px hold, a window of 320 px without its margins."""
LABEL_WIDTH, SIDE_BAR, WIDE_BAR = 31.0, 47.0, 76.0
"""Per cent: the labels' room, and the longest bar beside them, or below them."""
VALUE_GAP: Final = 1.5
LINE_HEIGHT, BAR_HEIGHT, GAP = 1.35, 1.15, 0.6
"""In em."""
PATTERNS: Final = ("plain", "hatched", "dotted")
"""One per series: what is told apart by colour is told apart by its pattern too."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar: a label, the value of each series in it, and their sum as it is written."""

    label: str
    values: tuple[int, ...]
    text: str
    href: str = ""

    @property
    def total(self) -> int:
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Chart:
    """`series` are the words for each value of a row; `heads` those of the table's columns before them."""

    id: str
    title: str
    description: str
    head: str
    series: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def empty(self) -> bool:
        return all(row.total == 0 for row in self.rows)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar, in per cent of the width."""

    x: float
    width: float
    pattern: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a row stands: heights in em from the top, widths in per cent."""

    row: Row
    lines: tuple[str, ...]
    label_x: float
    label_y: float
    bar_y: float
    segments: tuple[Segment, ...]
    value_x: float
    bottom: float


def placed(rows: Sequence[Row]) -> list[Placed]:
    """Each row's place; bars are proportional to their values, the greatest has the whole room."""
    beside = all(len(row.label) <= SIDE_LABEL for row in rows)
    left, room = (LABEL_WIDTH, SIDE_BAR) if beside else (0.0, WIDE_BAR)
    greatest = max((row.total for row in rows), default=0) or 1
    found, top = [], 0.0
    for row in rows:
        lines = (row.label,) if beside else tuple(wrapped(row.label))
        bar_y = top if beside else top + LINE_HEIGHT * len(lines)
        segments, x = [], left
        for value, pattern in zip(row.values, PATTERNS, strict=False):
            width = value * room / greatest
            segments.append(Segment(x, width, pattern))
            x += width
        bottom = bar_y + BAR_HEIGHT
        found.append(Placed(row, lines, 0.0, top, bar_y, tuple(segments), x + VALUE_GAP, bottom))
        top = bottom + GAP
    return found


def wrapped(label: str, longest: int = LINE) -> Iterable[str]:
    """The label in lines of at most `longest` characters; a longer word is broken."""
    line = ""
    for word in label.split(" "):
        while len(word) > longest:
            if line:
                yield line
                line = ""
            yield word[:longest]
            word = word[longest:]
        if line and len(line) + 1 + len(word) > longest:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    if line:
        yield line


def svg(chart: Chart) -> Markup:
    """The picture of a chart: one image with a name and a description; its parts are no controls."""
    places = placed(chart.rows)
    height = places[-1].bottom if places else 0.0
    marks = {segment.pattern for place in places for segment in place.segments if segment.width} - {"plain"}
    return Markup(
        '<svg class="chart" role="img" width="100%" height="{h}em" aria-labelledby="{id}-n {id}-d">'
        '<title id="{id}-n">{title}</title><desc id="{id}-d">{description}</desc>{defs}{rows}</svg>'
    ).format(
        h=_short(height),
        id=chart.id,
        title=chart.title,
        description=chart.description,
        defs=pattern_defs(chart.id, sorted(marks)),
        rows=Markup("").join(_row(chart.id, place) for place in places),
    )


def _row(chart: str, place: Placed) -> Markup:
    lines = Markup("").join(
        Markup('<text y="{}em">{}</text>').format(_short(place.label_y + 0.9 + LINE_HEIGHT * number), line)
        for number, line in enumerate(place.lines)
    )
    bars = Markup("").join(
        Markup('<rect class="b" x="{}%" y="{}em" width="{}%" height="{}em"{}/>').format(
            _short(segment.x),
            _short(place.bar_y),
            _short(segment.width),
            BAR_HEIGHT,
            fill(chart, segment.pattern),
        )
        for segment in place.segments
        if segment.width
    )
    value = Markup('<text class="v" x="{}%" y="{}em">{}</text>').format(
        _short(place.value_x), _short(place.bar_y + 0.9), place.row.text
    )
    return lines + bars + value


def fill(owner: str, pattern: str) -> Markup:
    """The attribute that fills with a pattern of `owner`: a style sheet can't name a fragment of the page."""
    return Markup("") if pattern == "plain" else Markup(' fill="url(#{}-{})"').format(owner, pattern)


def pattern_defs(owner: str, patterns: Sequence[str]) -> Markup:
    """The patterns that `owner` uses."""
    if not patterns:
        return Markup("")
    drawn = Markup("").join(
        Markup('<pattern id="{}-{}" width="8" height="8" patternUnits="userSpaceOnUse">{}</pattern>').format(
            owner, pattern, _DRAWN[pattern]
        )
        for pattern in patterns
    )
    return Markup("<defs>{}</defs>").format(drawn)


_DRAWN = {
    "hatched": Markup('<path class="p" d="M-2 2l4-4M0 8l8-8M6 10l4-4"/>'),
    "dotted": Markup('<circle class="p" cx="4" cy="4" r="1.5"/>'),
}


def swatch(chart: Chart, number: int) -> Markup:
    """A small sample of the series `number`, for the legend."""
    pattern = PATTERNS[number]
    owner = f"{chart.id}-l{number}"
    defs = pattern_defs(owner, [] if pattern == "plain" else [pattern])
    return Markup(
        '<svg class="swatch" aria-hidden="true" width="20" height="14">{}'
        '<rect class="b" width="20" height="14"{}/></svg>'
    ).format(defs, fill(owner, pattern))


def _short(number: float) -> str:
    """Two decimals, without those that say nothing."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
