"""What a country needs: the page says what the program computes, and nothing from what wasn't measured."""

from bench.capacity import Assumptions, Figures, needs, tables
from bench.load import ROOT


def value(name: str, country: Assumptions, measured: Figures) -> str:
    return next(need.value for need in needs(country, measured) if need.name == name)


def test_the_page_shows_what_the_program_prints() -> None:
    page = (ROOT / "docs" / "capacity.md").read_text("utf-8")

    assert tables(Assumptions(), Figures()) in page


def test_twice_the_instances_say_twice_as_much() -> None:
    name = "messages a day, `heartbeat`"

    assert value(name, Assumptions(instances=10), Figures()) == "28,800"
    assert value(name, Assumptions(instances=20), Figures()) == "57,600"


def test_nothing_is_computed_from_what_was_not_measured() -> None:
    assert value("time of a replay", Assumptions(), Figures(rate=None)) == "not measured"
    assert value("time of a replay", Assumptions(), Figures(rate=1_000)) != "not measured"
