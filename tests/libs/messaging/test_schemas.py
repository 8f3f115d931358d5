"""The published schemas say what the code says, and no change breaks a peer that is a version behind."""

import copy
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from libs.messaging.schemas import current, incompatibilities, published

Change = Callable[[dict[str, Any]], None]


def test_the_published_schemas_are_those_of_the_code() -> None:
    assert published() == current(), "run: python -m libs.messaging.schemas"


@pytest.mark.parametrize("name", sorted(published()))
def test_the_published_schemas_are_json_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(published()[name])
    assert incompatibilities(published()[name], current()[name]) == []


def _set(*path: str, to: Any) -> Change:
    def change(schema: dict[str, Any]) -> None:
        for step in path[:-1]:
            schema = schema[step]
        schema[path[-1]] = to

    return change


def _remove(*path: str) -> Change:
    def change(schema: dict[str, Any]) -> None:
        for step in path[:-1]:
            schema = schema[step]
        del schema[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_remove("properties", "title"), "/title: removed"),
        (_set("properties", "title", "type", to="integer"), "/title: type string became integer"),
        (_set("properties", "theme", to={"type": "string"}), "/theme: may no longer be null"),
        (_set("properties", "status", "enum", to=["published"]), "/status: fewer values are allowed"),
        (
            _set("$defs", "VenueFacts", "properties", "name", "type", to="null"),
            "/venue/name: type string became null",
        ),
        (_set("$defs", "SeatCounts", "required", to=["on_site"]), "/capacity/on_site: newly required"),
        (_set("properties", "starts_at", "format", to="date"), "/starts_at: format date-time became date"),
        (_remove("required"), "/title: no longer required"),
    ],
)
def test_a_change_that_would_break_a_peer_is_refused(change: Change, says: str) -> None:
    old = published()["sessions"]
    new = copy.deepcopy(old)
    change(new)

    assert says in incompatibilities(old, new)


def test_a_new_optional_field_is_welcome() -> None:
    old = published()["sessions"]
    new = copy.deepcopy(old)
    new["properties"]["weather"] = {"type": "string", "default": ""}

    assert incompatibilities(old, new) == []
