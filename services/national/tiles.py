"""The country as tiles: one square per region of Québec, one per province and territory elsewhere.

The grid comes from data/qc_regions.json and data/francophone_regions_hors_quebec.json. Every tile carries
its figure, so that the five blues only repeat what is written; silence is hatched, never zero.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any, Final, Literal

from markupsafe import Markup

from libs import vocabularies
from services.national.charts import pattern_defs

SIDE, GAP, LABEL_ROOM, MARK = 60, 4, 26, 21
COLUMNS: Final = 8
"""Units of the drawing; it is scaled to the width that it is given."""
STEPS: Final = 5
_SHARES = (0.06, 0.17, 0.35, 0.62)
"""Where the steps end, as parts of the greatest figure."""

Kind = Literal["known", "offline", "unshared", "nobody"]


@dataclass(frozen=True, slots=True)
class Square:
    """A tile's place in the grid; `mark` is what stands on it, above its figure."""

    code: str
    mark: str
    col: int
    row: int
    elsewhere: bool


@dataclass(frozen=True, slots=True)
class Tile:
    """What a tile shows. `text` is its figure as written, `about` what that doesn't say. `step`: 1 to 5."""

    text: str
    about: str
    kind: Kind
    step: int = 0
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A square on the drawing, in its units."""

    square: Square
    x: int
    y: int


@cache
def squares() -> tuple[Square, ...]:
    """The 17 regions and the 12 provinces and territories, in the order of `libs.vocabularies`."""
    quebec = _read("qc_regions.json")
    elsewhere = _read("francophone_regions_hors_quebec.json")
    return (
        *(Square(r["code"], r["code"], r["tile"]["col"], r["tile"]["row"], False) for r in quebec),
        *(
            Square(p["province"], p["province"].removeprefix("CA-"), p["tile"]["col"], p["tile"]["row"], True)
            for p in elsewhere
        ),
    )


def boxes() -> list[Box]:
    """Where each square stands: Québec above, the rest of the country below it."""
    rows = 1 + max(square.row for square in squares() if not square.elsewhere)
    below = rows * (SIDE + GAP) + LABEL_ROOM
    return [
        Box(
            square,
            1 + square.col * (SIDE + GAP),
            1 + square.row * (SIDE + GAP) + (below if square.elsewhere else 0),
        )
        for square in squares()
    ]


def breaks(figures: Iterable[int]) -> list[int]:
    """The last figure of each step; the greatest of all is that of the fifth. Rising, from 0 at least."""
    greatest = max(figures, default=0)
    ends: list[int] = []
    for share in _SHARES:
        ends.append(max(_round(greatest * share), ends[-1] + 1 if ends else 0))
    return [*ends, max(greatest, ends[-1] + 1)]


def step_of(figure: int, ends: Sequence[int]) -> int:
    """1 for the least, 5 for the most."""
    return next((number for number, end in enumerate(ends, 1) if figure <= end), STEPS)


def _round(value: float) -> int:
    """A number that one can say: 5, 15, 40, 120, 1 300."""
    unit = 1 if value < 10 else 5 if value < 100 else 10 ** (len(str(int(value))) - 2)
    return ceil(value / unit) * unit if value else 0


LARGEST: Final = 23.0
_CHARACTER: Final = 0.6
"""The widest digit, in em."""


def font_size(text: str) -> float:
    """The largest size, in units of the drawing, at which the text fits into a tile."""
    return min(LARGEST, (SIDE - 6) / (_CHARACTER * max(len(text), 1)))


def svg(
    tiles: Mapping[str, Tile], *, id_: str, title: str, description: str, elsewhere: str, patterns: str
) -> Markup:
    """The picture of the country; `elsewhere` is the heading of the lower part.

    It carries the `pattern_defs` of the page, called `patterns`.
    """
    places = boxes()
    width = COLUMNS * (SIDE + GAP) - GAP + 2
    height = max(box.y for box in places) + SIDE + 1
    first_below = min(box.y for box in places if box.square.elsewhere)
    return Markup(
        '<svg class="tiles" viewBox="0 0 {w} {h}" role="img">'
        "<title>{title}</title><desc>{description}</desc>{defs}"
        '<defs><rect id="{id}-q" x="-{half}" y="-{mark}" width="{side}" height="{side}" rx="6"/></defs>'
        '{drawn}<text class="e" y="{y}">{elsewhere}</text></svg>'
    ).format(
        w=width,
        h=height,
        id=id_,
        title=title,
        description=description,
        defs=pattern_defs(patterns, ["hatched"]),
        side=SIDE,
        half=SIDE // 2,
        mark=MARK,
        drawn=Markup("").join(_tile(id_, patterns, box, tiles[box.square.code]) for box in places),
        y=first_below - 8,
        elsewhere=elsewhere,
    )


def _tile(owner: str, patterns: str, box: Box, tile: Tile) -> Markup:
    """Its origin is where its mark stands, so that few of its parts need a place of their own."""
    classes = f"s{tile.step}" if tile.kind == "known" else tile.kind
    square = Markup('<use href="#{}-q"/>').format(owner)
    if tile.kind == "offline":
        square += Markup('<use href="#{}-q" fill="url(#{}-hatched)"/>').format(owner, patterns)
    size = font_size(tile.text)
    return Markup(
        '<g class="{}" transform="translate({} {})">{}{}<text>{}</text><text class="f" y="26"{}>{}</text></g>'
    ).format(
        classes + (" chosen" if tile.chosen else ""),
        box.x + SIDE // 2,
        box.y + MARK,
        Markup("<title>{}</title>").format(tile.about) if tile.about else "",
        square,
        box.square.mark,
        Markup(' font-size="{:.0f}"').format(size) if size < LARGEST else "",
        tile.text,
    )


def _read(name: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((vocabularies.DATA / name).read_text("utf-8"))
    return content
