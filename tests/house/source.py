"""The product's own Python files, parsed, for the tests that guard how the house is built."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("libs", "services", "deploy")


@cache
def files() -> tuple[Path, ...]:
    """Every Python file of the product, relative to the root."""
    found = (path.relative_to(ROOT) for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
    return tuple(sorted(found))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    """`libs/web/app.py` → `libs.web.app`."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of everything that a file imports, wherever the import stands in it."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _imported_from(path, node)


def _imported_from(path: Path, node: ast.ImportFrom) -> Iterator[tuple[int, str]]:
    if node.level:
        package = module_name(path).split(".")
        kept = package[: len(package) - node.level + (path.name == "__init__.py")]
        base = ".".join([*kept, *([node.module] if node.module else [])])
    else:
        base = node.module or ""
    yield node.lineno, base
    # `from services import events` names a module only in its second half.
    yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    """(line, last name, call) of every call: `session.commit()` is `commit`."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute):
                yield node.lineno, function.attr, node
            elif isinstance(function, ast.Name):
                yield node.lineno, function.id, node
