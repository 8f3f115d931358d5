"""The published JSON Schemas of the messages, and what a new version may not change."""

import json
import sys
from pathlib import Path
from typing import Any

from libs.messaging.contracts import BY_STREAM

FOLDER = Path(__file__).parent / "schemas"

Schema = dict[str, Any]


def current() -> dict[str, Schema]:
    """The schema of each stream's payload as the code has it now, by the stream's logical name."""
    return {
        stream: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"/schemas/{stream}.json",
            **payload.model_json_schema(),
        }
        for stream, payload in BY_STREAM.items()
    }


def published() -> dict[str, Schema]:
    """The schemas that peers may rely on: those in the repository."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """What would break a peer that still speaks `old`, each with the place; empty when all is well.

    Both directions count while an instance is updated service by service: an old message must be valid
    for the new reader (nothing newly required, no type narrowed) and a new message for the old reader
    (nothing that was required or typed goes away).
    """
    return _compare("", old, old, new, new)


def _compare(place: str, old_root: Schema, old: Schema, new_root: Schema, new: Schema) -> list[str]:
    old, new = _resolved(old_root, old), _resolved(new_root, new)
    if "anyOf" in old or "anyOf" in new:
        return _compare_choices(place, old_root, _choices(old), new_root, _choices(new))
    found = []
    if old.get("type") != new.get("type"):
        found.append(f"{place or '/'}: type {old.get('type')} became {new.get('type')}")
    if old.get("format") != new.get("format"):
        found.append(f"{place or '/'}: format {old.get('format')} became {new.get('format')}")
    gone = set(map(str, old.get("enum", ()))) - set(map(str, new.get("enum", ())))
    if "enum" in new and ("enum" not in old or gone):
        found.append(f"{place or '/'}: fewer values are allowed")
    found += _compare_members(place, old_root, old, new_root, new)
    for keyword in ("items", "additionalProperties"):
        before, after = old.get(keyword), new.get(keyword)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _compare(f"{place}/{keyword}", old_root, before, new_root, after)
    return found


def _compare_members(place: str, old_root: Schema, old: Schema, new_root: Schema, new: Schema) -> list[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    found = [f"{place}/{name}: removed" for name in before if name not in after]
    required = set(new.get("required", ())) - set(old.get("required", ()))
    found += [f"{place}/{name}: newly required" for name in sorted(required)]
    relaxed = set(old.get("required", ())) - set(new.get("required", ()))
    found += [f"{place}/{name}: no longer required" for name in sorted(relaxed)]
    for name in before.keys() & after.keys():
        found += _compare(f"{place}/{name}", old_root, before[name], new_root, after[name])
    return sorted(found)


def _compare_choices(
    place: str, old_root: Schema, old: list[Schema], new_root: Schema, new: list[Schema]
) -> list[str]:
    """Every choice that was there must still be there; one more is as bad for the old reader."""
    by_type = {_resolved(new_root, choice).get("type"): choice for choice in new}
    found = []
    for choice in old:
        kind = _resolved(old_root, choice).get("type")
        if kind not in by_type:
            found.append(f"{place}: may no longer be {kind}")
        else:
            found += _compare(place, old_root, choice, new_root, by_type[kind])
    known = {_resolved(old_root, choice).get("type") for choice in old}
    found += [f"{place}: may now be {kind}" for kind in by_type if kind not in known]
    return found


def _choices(schema: Schema) -> list[Schema]:
    choices: list[Schema] = schema.get("anyOf", [schema])
    return choices


def _resolved(root: Schema, schema: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    definition: Schema = root["$defs"][reference.rpartition("/")[2]]
    return definition


def publish() -> list[str]:
    """Write the schemas to the repository, or say what forbids it."""
    now, before = current(), published()
    problems = [
        f"{name}{change}"
        for name, schema in before.items()
        for change in (incompatibilities(schema, now[name]) if name in now else [": removed"])
    ]
    if not problems:
        FOLDER.mkdir(exist_ok=True)
        for name, schema in now.items():
            text = json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
            (FOLDER / f"{name}.json").write_text(text, "utf-8")
    return problems


if __name__ == "__main__":
    sys.exit("\n".join(publish()) or None)
