"""The map: one tile per region, province and territory; figures fit, steps rise, silence is hatched."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from libs import vocabularies
from services.national import tiles
from services.national.tiles import SIDE, STEPS, Tile


def drawn(**changed: Tile) -> str:
    shown = {square.code: Tile("3", "", "known", 1) for square in tiles.squares()}
    shown |= {code.replace("_", "-"): tile for code, tile in changed.items()}
    return str(
        tiles.svg(shown, id_="pays", title="Titre", description="Suite", elsewhere="Ailleurs", patterns="m")
    )


def test_there_is_a_tile_for_every_region_and_none_covers_another() -> None:
    boxes = tiles.boxes()
    assert {box.square.code for box in boxes} == {region.code for region in vocabularies.regions()}
    assert len(boxes) == 17 + 12
    for one, other in combinations(boxes, 2):
        assert abs(one.x - other.x) >= SIDE or abs(one.y - other.y) >= SIDE, (one, other)


def test_quebec_stands_above_the_rest_of_the_country() -> None:
    bottom = max(box.y for box in tiles.boxes() if not box.square.elsewhere) + SIDE
    assert min(box.y for box in tiles.boxes() if box.square.elsewhere) > bottom


@given(st.lists(st.integers(0, 2_000_000), max_size=40))
def test_steps_rise_with_the_figures(figures: list[int]) -> None:
    ends = tiles.breaks(figures)
    assert len(ends) == STEPS
    assert ends == sorted(set(ends))
    steps = [tiles.step_of(figure, ends) for figure in sorted(figures)]
    assert steps == sorted(steps)
    assert all(1 <= step <= STEPS for step in steps)
    if figures:
        assert tiles.step_of(0, ends) == 1
        assert max(figures) == 0 or tiles.step_of(max(figures), ends) >= min(STEPS, max(figures))


@given(st.text(alphabet="0123456789\u00a0k?", min_size=1, max_size=9))
def test_a_figure_fits_into_its_tile(text: str) -> None:
    assert tiles.font_size(text) * 0.6 * len(text) <= SIDE - 6 + 1e-9


def test_the_map_has_a_name_a_description_and_every_figure() -> None:
    picture = drawn(CA_NB=Tile("1\u00a0284", "", "known", 5))
    assert 'role="img"' in picture
    assert "<title>Titre</title><desc>Suite</desc>" in picture
    assert picture.count('class="f"') == 29
    assert "1\u00a0284" in picture


def test_silence_is_hatched_and_says_since_when() -> None:
    tile = Tile("?", "Nord-du-Québec : hors ligne depuis 2 h", "offline")
    picture = drawn(**{"10": tile})
    assert picture.count('fill="url(#m-hatched)"') == 1
    assert "<title>Nord-du-Québec : hors ligne depuis 2 h</title>" in picture


def test_what_nobody_shares_has_no_step_of_blue() -> None:
    picture = drawn(**{"15": Tile("–", "", "unshared"), "CA_NU": Tile("–", "", "nobody")})
    assert picture.count('class="unshared"') == 1
    assert picture.count('class="nobody"') == 1
