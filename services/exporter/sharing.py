"""The rules of sharing: what a level lets out, and how a message outside is newer than the last one."""

from collections.abc import Mapping

from libs.messaging.federated import LEVELS, Level, Volet

VOLETS: tuple[Volet, ...] = ("public", "pro")
DEFAULT: Level = "counts"
Levels = Mapping[str, str]
"""The level of each volet."""
Newness = tuple[int, int]
"""(epoch, version)"""


def lets_out(level: str, needed: str) -> bool:
    """Whether a volet shared up to `level` shares what needs `needed`: each level holds those before it."""
    return rank(level) >= rank(needed)


def rank(level: str) -> int:
    return [*LEVELS].index(level)  # type: ignore[arg-type]  # ValueError for another word


def allowed(levels: Levels) -> list[str]:
    """Every `volet/needs` that leaves now."""
    return [
        f"{volet}/{needed}"
        for volet, level in levels.items()
        for needed in LEVELS[1:]
        if lets_out(level, needed)
    ]


def next_newness(heard: Newness, own_epoch: int, said: Newness) -> Newness:
    """The (epoch, version) of the next message about a thing.

    They are those of what was heard, so that everybody counts alike. But taking a thing back, and saying
    it again, change nothing inside the instance and must still be newer outside. And when this service
    was restored, its own epoch is above all that it may have said and forgotten.
    """
    epoch = max(heard[0], own_epoch)
    return max((epoch, heard[1]), (said[0], said[1] + 1))
