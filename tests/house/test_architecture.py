"""How the house is built: which floor may see which, and what stands in one place only."""

import ast
from pathlib import Path

import pytest

from tests.house.source import ROOT, calls, files, imported, parsed

RULES = frozenset(
    {
        "attention", "believing", "cards", "changes", "compose", "confirmation", "consequences", "doubles",
        "draw", "equity", "explaining", "formats", "ical", "invariants", "itip", "library_names", "mailing",
        "merging", "mime", "offers", "opening", "outcomes", "planning", "plausible", "pools", "reaching",
        "reminders", "retrying", "rounding", "schedule", "searching", "seat_commands", "seat_counts",
        "seat_refusals", "seatbook", "seats", "spelling", "standing", "structured_data", "topics",
        "validation", "vtimezone", "waitlist",
    }
)  # fmt: skip
"""Files named after a rule: what they decide follows from what they are given, and from nothing else."""

IO = ("sqlalchemy", "asyncpg", "fastapi", "starlette", "httpx", "aiosmtplib", "asyncio", "libs.database")
CLOCKS = frozenset({"now", "utcnow", "today", "utc_now", "decision_time", "time_ns"})
ENVIRONMENT = frozenset({"environ", "environb", "getenv", "putenv"})
VAGUE = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"})


def rule_files() -> list[Path]:
    return [path for path in files() if path.stem in RULES and path.parts[0] != "deploy"]


def may_import(path: Path, module: str) -> bool:
    floor, target = path.parts[0], module.split(".")
    if target[0] == "tests":
        return False
    if floor == "libs":
        return target[0] not in {"services", "deploy"}
    if floor == "services":
        own = path.parts[1] if len(path.parts) > 2 else None
        return target[0] != "deploy" and (target[0] != "services" or target[1:2] in ([], [own]))
    return True


def test_imports_only_lead_downwards_and_services_never_see_each_other() -> None:
    wrong = [
        f"{path}:{line} imports {module}"
        for path in files()
        for line, module in imported(path)
        if not may_import(path, module)
    ]
    assert wrong == []


def test_only_the_settings_read_the_environment() -> None:
    """What the runner hands on to the programs it starts is listed here by file."""
    wrong = [
        f"{path}:{node.lineno}"
        for path in files()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT
        if path != Path("libs/settings.py") and path.parts[0] != "deploy"
    ]
    assert wrong == []


def test_the_commit_stands_in_one_place() -> None:
    places = {path.as_posix() for path in files() for _line, name, _call in calls(path) if name == "commit"}
    assert places <= {"libs/database.py"}


def test_settings_are_built_in_one_place() -> None:
    """Everybody else gets them as an argument."""
    wrong = [
        f"{path}:{line}"
        for path in files()
        for line, name, _call in calls(path)
        if name in {"Settings", "read_settings"} and path.parts[0] != "deploy" and path.name != "settings.py"
    ]
    assert wrong == []


def test_there_are_rules_to_look_at() -> None:
    assert Path("libs/web/formats.py") in rule_files()


@pytest.mark.parametrize("path", rule_files(), ids=str)
def test_a_rule_is_pure(path: Path) -> None:
    """No waiting, no database, no framework and no clock: `now` is passed in."""
    awaiting = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    wrong = [f"line {node.lineno} waits" for node in ast.walk(parsed(path)) if isinstance(node, awaiting)]
    wrong += [
        f"line {line} imports {module}"
        for line, module in imported(path)
        if any(module == name or module.startswith(f"{name}.") for name in IO)
    ]
    wrong += [f"line {line} reads a clock" for line, name, _call in calls(path) if name in CLOCKS]
    assert wrong == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in files() if path.stem in VAGUE] == []


def test_every_file_says_what_it_owns() -> None:
    empty = {path for path in files() if not (ROOT / path).read_text(encoding="utf-8").strip()}
    generated = {path for path in files() if "migrations" in path.parts}
    missing = [
        path for path in files() if path not in empty | generated and not ast.get_docstring(parsed(path))
    ]
    assert [str(path) for path in missing] == []
