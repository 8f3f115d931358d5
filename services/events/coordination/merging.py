"""Merging: what two people changed in the same thing, and the two changes laid together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Values = Mapping[str, str]
"""A form's values by the names of its fields; empty text is no value."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that somebody changed since `before`, which the second editor saw."""

    field: str
    before: str
    theirs: str
    yours: str

    @property
    def by_them(self) -> bool:
        return self.theirs != self.before

    @property
    def by_you(self) -> bool:
        return self.yours != self.before

    @property
    def is_conflict(self) -> bool:
        """Both changed it, and not to the same."""
        return self.by_them and self.by_you and self.theirs != self.yours


def differences(fields: Iterable[str], base: Values, theirs: Values, yours: Values) -> list[Difference]:
    """The fields that either changed, in the order of `fields`."""
    found = [Difference(name, *(side.get(name, "") for side in (base, theirs, yours))) for name in fields]
    return [item for item in found if item.by_them or item.by_you]


def is_as_seen(fields: Iterable[str], base: Values, theirs: Values) -> bool:
    """Whether nothing that the second editor saw has changed, though the version rose."""
    return all(base.get(name, "") == theirs.get(name, "") for name in fields)


def merged(base: Values, theirs: Values, yours: Values) -> dict[str, str]:
    """Theirs, with what you changed laid over it."""
    own = {name: value for name, value in yours.items() if value != base.get(name, "")}
    return dict(theirs) | own
