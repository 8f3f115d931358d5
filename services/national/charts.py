"""Bar charts as SVG for a screen reader, a printer and a narrow window alike; drawn from plain numbers.

Lengths along the bars are per cent of the chart's width and everything else is in em, so that a chart fills
any window, its texts stay as large as the reader wants them, and none of them is ever squeezed. The same
numbers always stand in a table beside it: `Chart.rows` is what both are made from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

NARROW: Final = 240 / 15
"""The narrowest chart, in em: a window of 320 px without its margins and the frame's, at 15 px."""
CHARACTER, BOLD_DIGIT = 0.52, 0.62
"""The width of a character in em: of a label's on average, of a value's at most."""
SIDE_LABEL: Final = 11
"""So many characters still fit beside the bars; longer labels stand above them."""
LINE: Final = 30
"""Characters in a line above a bar."""
LABEL_WIDTH, VALUE_GAP = 36.0, 1.5
"""Per cent: the labels' room beside the bars, and what parts a bar from its value."""
LINE_HEIGHT, BAR_HEIGHT, GAP, BASELINE = 1.35, 1.15, 0.6, 0.9
"""In em. The height of a bar stands in the style sheet too."""
PATTERNS: Final = ("plain", "hatched", "dotted")
"""One per series: what is told apart by colour is told apart by its pattern too."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar: a label, the value of each series in it, and the text at its end."""

    label: str
    values: tuple[int, ...]
    text: str

    @property
    def total(self) -> int:
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Chart:
    """`head` is the heading of the labels in the table, `series` the words for each value of a row."""

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


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a row stands: heights in em from the top, widths in per cent; a segment for each series."""

    row: Row
    lines: tuple[str, ...]
    label_y: float
    bar_y: float
    segments: tuple[Segment, ...]
    value_x: float

    @property
    def bottom(self) -> float:
        return self.bar_y + BAR_HEIGHT


def placed(rows: Sequence[Row]) -> list[Placed]:
    """Each row's place; bars are proportional to their values, the greatest has all the room there is."""
    beside = all(len(row.label) <= SIDE_LABEL for row in rows)
    left = LABEL_WIDTH if beside else 0.0
    room = 100 - left - VALUE_GAP - max((text_width(row.text) for row in rows), default=0.0)
    greatest = max((row.total for row in rows), default=0) or 1
    found, top = [], 0.0
    for row in rows:
        lines = (row.label,) if beside else tuple(wrapped(row.label))
        bar_y = top if beside else top + LINE_HEIGHT * len(lines)
        segments, x = [], left
        for value in row.values:
            segments.append(Segment(x, value * room / greatest))
            x += segments[-1].width
        found.append(Placed(row, lines, top, bar_y, tuple(segments), x + VALUE_GAP))
        top = found[-1].bottom + GAP
    return found


def text_width(text: str) -> float:
    """The most that a value's text takes of the width, in per cent: in the narrowest chart."""
    return len(text) * BOLD_DIGIT * 100 / NARROW


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


def svg(chart: Chart, *, patterns: str) -> Markup:
    """The picture of a chart: one image with a name and a description; its parts are no controls.

    `patterns` names the `pattern_defs` of the page that it fills with.
    """
    places = placed(chart.rows)
    series = range(max((len(row.values) for row in chart.rows), default=0))
    return Markup(
        '<svg class="chart" role="img" width="100%" height="{h}em">'
        "<title>{title}</title><desc>{description}</desc>{labels}{bars}"
        '<g class="v">{values}</g></svg>'
    ).format(
        h=_short(places[-1].bottom if places else 0),
        title=chart.title,
        description=chart.description,
        labels=_joined(_label(place) for place in places),
        bars=_joined(_series(places, number, patterns) for number in series),
        values=_joined(_text(place.row.text, place.bar_y, place.value_x) for place in places),
    )


def _label(place: Placed) -> Markup:
    lines = (_text(line, place.label_y + LINE_HEIGHT * n) for n, line in enumerate(place.lines))
    return _joined(lines)


def _text(text: str, top: float, x: float = 0) -> Markup:
    across = Markup(' x="{}%"').format(_percent(x)) if x else ""
    return Markup('<text{} y="{}em">{}</text>').format(across, _short(top + BASELINE), text)


def _series(places: Sequence[Placed], number: int, patterns: str) -> Markup:
    bars = _joined(
        Markup('<rect x="{}%" y="{}em" width="{}%"/>').format(
            _percent(place.segments[number].x), _short(place.bar_y), _percent(place.segments[number].width)
        )
        for place in places
        if place.row.values[number]
    )
    return Markup("<g{}>{}</g>").format(fill(patterns, PATTERNS[number]), bars) if bars else bars


def swatch(number: int, *, patterns: str) -> Markup:
    """A small sample of the series `number`, for a legend."""
    return Markup(
        '<svg class="chart swatch" aria-hidden="true" width="20" height="14"><g{}>'
        '<rect width="20" height="14"/></g></svg>'
    ).format(fill(patterns, PATTERNS[number]))


def fill(patterns: str, name: str) -> Markup:
    """The attributes of what is filled with a pattern: a style sheet can't name a fragment of the page."""
    return Markup("") if name == "plain" else Markup(' class="o" fill="url(#{}-{})"').format(patterns, name)


def pattern_defs(owner: str, names: Iterable[str] = PATTERNS[1:]) -> Markup:
    """The patterns that the drawings of a page fill with, as `owner`-`name`; once on a page."""
    return Markup("<defs>{}</defs>").format(
        _joined(
            Markup(
                '<pattern id="{}-{}" width="8" height="8" patternUnits="userSpaceOnUse">{}</pattern>'
            ).format(owner, name, _DRAWN[name])
            for name in names
        )
    )


_DRAWN = {
    "hatched": Markup('<path class="p" d="M-2 2l4-4M0 8l8-8M6 10l4-4"/>'),
    "dotted": Markup('<circle class="p" cx="4" cy="4" r="1.5"/>'),
}


def _joined(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)


def _short(number: float) -> str:
    """As it is written in an attribute: two decimals at most, without what says nothing."""
    return f"{number:.2f}".rstrip("0").rstrip(".").removeprefix("0") or "0"


def _percent(number: float) -> str:
    """A tenth of a per cent is less than a pixel."""
    return _short(round(number, 1))
