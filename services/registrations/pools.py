"""Pools: how a session's seats are shared between channels and everybody, at a given moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from libs.messaging.contracts import HeldSeats, Release, SessionState

GENERAL = ""
"""The channel of the pool that everybody may use."""

_NEVER = datetime.max.replace(tzinfo=UTC)


class PoolKey(NamedTuple):
    """A pool is seats of one kind, kept for one channel or general."""

    seat_kind: str
    channel: str = GENERAL


@dataclass(frozen=True, slots=True)
class Plan:
    """What `events` planned: seats by kind, those held for channels, and when they are released."""

    capacity: Mapping[str, int]
    held: tuple[HeldSeats, ...] = ()
    releases: tuple[Release, ...] = ()


def plan_of(facts: SessionState) -> Plan:
    """The seats part of a session's facts; a kind that the modality doesn't offer has no seats."""
    capacity = {
        kind: getattr(facts.capacity, kind) if kind in seat_kinds(facts.modality) else 0
        for kind in ("on_site", "online")
    }
    return Plan(capacity, facts.held_seats, facts.releases)


def seat_kinds(modality: str) -> tuple[str, ...]:
    """The kinds of seat that a session of this modality has, the usual one first."""
    if modality == "hybrid":
        return ("on_site", "online")
    return ("online",) if modality == "online" else ("on_site",)


def effective_seats(plan: Plan, used: Mapping[PoolKey, int], now: datetime) -> dict[PoolKey, int]:
    """How many seats each pool has now, given those that people already use.

    In total there are max(planned, used) seats of a kind: a lower plan removes nobody. What is free goes
    to the held pools first, as far as the plan at `now` holds seats for them, then to everybody. So a
    release moves free seats at once and the rest as they empty; and when the plan shrinks, the pool with
    the latest release shrinks first.
    """
    seats: dict[PoolKey, int] = {}
    for kind, planned in plan.capacity.items():
        used_here = {key.channel: count for key, count in used.items() if key.seat_kind == kind}
        free = max(planned, sum(used_here.values())) - sum(used_here.values())
        held = _held_now(plan, kind, now)
        for channel in sorted(
            held.keys() | used_here.keys(), key=lambda c: (_last_release(plan, kind, c), c)
        ):
            if channel == GENERAL:
                continue
            mine = used_here.get(channel, 0)
            added = min(free, max(0, held.get(channel, 0) - mine))
            free -= added
            seats[PoolKey(kind, channel)] = mine + added
        seats[PoolKey(kind)] = used_here.get(GENERAL, 0) + free
    return seats


def next_release(plan: Plan, now: datetime) -> datetime | None:
    """The next moment at which held seats change hands by themselves."""
    return min((release.at for release in plan.releases if release.at > now), default=None)


def _held_now(plan: Plan, kind: str, now: datetime) -> dict[str, int]:
    held = {item.channel: item.seats for item in plan.held if item.seat_kind == kind}
    for release in plan.releases:
        if release.seat_kind == kind and release.at <= now and release.channel in held:
            held[release.channel] = max(0, held[release.channel] - release.seats)
    return held


def _last_release(plan: Plan, kind: str, channel: str) -> datetime:
    dates = [r.at for r in plan.releases if r.seat_kind == kind and r.channel == channel]
    return max(dates, default=_NEVER)
