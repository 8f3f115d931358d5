"""The style sheet keeps the house's promises: contrast, weight, our own fonts, nothing that moves."""

import re

import pytest

from libs.web.assets import FOLDER, static_url

CSS = (FOLDER / "main.css").read_text()
SHEETS = {
    "light": CSS[CSS.index(":root") : CSS.index("@media (prefers-color-scheme: dark)")],
    "dark": CSS[CSS.index("@media (prefers-color-scheme: dark)") : CSS.index("*, *::before")],
}
PAIRS = [
    (text, ground, 4.5)
    for text in ("ink", "grey", "blue", "green", "amber", "red")
    for ground in ("paper", "surface")
] + [
    ("ink", "blue-light", 7.0),
    ("blue", "blue-light", 4.5),
    ("green", "green-light", 4.5),
    ("amber", "amber-light", 4.5),
    ("red", "red-light", 4.5),
    ("on-blue", "blue", 4.5),
    ("on-blue", "blue-strong", 4.5),
    ("on-red", "red", 4.5),
    ("on-red", "red-strong", 4.5),
    ("edge", "surface", 3.0),
    ("edge", "paper", 3.0),
]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground", "least"), PAIRS)
def test_every_pair_of_colours_can_be_read(scheme: str, text: str, ground: str, least: float) -> None:
    tokens = dict(re.findall(r"--([\w-]+): (#\w+)", SHEETS[scheme]))
    assert contrast(tokens[text], tokens[ground]) >= least


def test_the_focus_can_be_seen_on_every_ground() -> None:
    for sheet in SHEETS.values():
        tokens = dict(re.findall(r"--([\w-]+): (#\w+)", sheet))
        # The yellow ring has an ink edge: one of the two stands out.
        assert max(contrast("#f2b705", tokens["paper"]), contrast(tokens["ink"], tokens["paper"])) >= 3


def test_fonts_come_from_here_and_carry_their_version() -> None:
    addresses = re.findall(r'url\("([^"]+)"\)', CSS)
    assert addresses
    for address in addresses:
        name = address.partition("?")[0]
        assert f"/static/{address}" == static_url(name)
    assert (FOLDER / "fonts" / "OFL.txt").is_file()


def test_nothing_moves() -> None:
    assert not re.search(r"\b(animation|transition|@keyframes)\b", CSS)


def test_the_sheet_leaves_room_for_the_page() -> None:
    assert len(CSS.encode()) < 22_000
