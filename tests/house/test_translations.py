"""Every text has its English, can be found by the tool, and is set as French is set."""

import ast
import re
from pathlib import Path

import pytest

from libs.web.catalogues import catalogue, check, extracted, packages, placeholders, source_of
from libs.web.i18n import LANGUAGES, SOURCE
from tests.house.source import calls, files, parsed

OTHERS = [language for language in LANGUAGES if language != SOURCE]
MARKERS = {"_": 1, "ngettext": 2}

# OQLF: a no-break space before the high signs and inside guillemets, a curly apostrophe.
BAD_FRENCH = re.compile(r" [:;?!»](?!\w)|« |\w'\w")


@pytest.mark.parametrize("package", packages())
@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated(package: str, language: str) -> None:
    assert [str(finding) for finding in check(package, language)] == []


@pytest.mark.parametrize("package", packages())
def test_french_is_set_as_french_is_set(package: str) -> None:
    wrong = [source_of(message) for message in extracted(package) if BAD_FRENCH.search(source_of(message))]
    assert wrong == []


def test_both_languages_name_the_same_things() -> None:
    """`%(count)s` and its like, in every form."""
    for package in packages():
        for message in catalogue(package, "en"):
            english = message.string if isinstance(message.string, tuple) else (message.string,)
            french = message.id if isinstance(message.id, (list, tuple)) else (message.id,)
            if message.id:
                assert placeholders(map(str, english)) <= placeholders(french), message.id


def unfindable(path: Path) -> list[str]:
    """Texts that the extraction can't see: inside f-strings (before Python 3.12), or computed."""
    inside = {
        id(node)
        for joined in ast.walk(parsed(path))
        if isinstance(joined, ast.JoinedStr)
        for node in ast.walk(joined)
    }
    return [
        f"{path}:{line}"
        for line, name, call in calls(path)
        if name in MARKERS and isinstance(call.func, ast.Name)
        if id(call) in inside or not all(_is_text(argument) for argument in call.args[: MARKERS[name]])
    ]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_every_text_can_be_found_by_the_extraction() -> None:
    assert [place for path in files() for place in unfindable(path)] == []
