"""Every static file that a page asks for is there."""

import re

import pytest

from libs.web.assets import FOLDER
from tests.house.source import FLOORS, ROOT

ASKED = re.compile(r"static_url\(\s*['\"]([^'\"]+)['\"]")


def asked() -> set[str]:
    templates = (path for floor in FLOORS for path in (ROOT / floor).rglob("*.html"))
    return {name for path in templates for name in ASKED.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", sorted(asked()))
def test_a_file_that_a_page_asks_for_is_there(name: str) -> None:
    assert (FOLDER / name).is_file()
