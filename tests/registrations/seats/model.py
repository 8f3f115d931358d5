"""The rules of seats told a second time, as simply as they can be: lists, loops, one seat at a time.

Written from ARCHITECTURE.md (S1-S4, S6, S7), not from the code, and importing none of its rules. It is slow
and has no cleverness to be wrong about: seats are dealt out like cards, the line is a list in which people
are put somewhere, and each command says what must be true after it.
"""

import hmac
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.messaging.contracts import SessionState

LIVE = ("pending", "waitlisted", "offered", "confirmed")
OUTCOMES = ("attended", "absent", "excused")
SEATED = ("confirmed", *OUTCOMES)
"""Who has a seat of their own, whether they came or not."""
EVERYBODY = ""
CALLED = "phone"
"""The channel of those who can be reached by telephone alone."""
Pool = tuple[str, str]
"""A kind of seat, and the channel that it is kept for ("": for everybody)."""
PAUSE = timedelta(minutes=10)
"""Between the closing of a draw and the draw."""


class No(Exception):
    """The rules refuse: nothing changes. The text is the reason, as the JSON API spells it."""


@dataclass
class Someone:
    """A person and where they stand. `pool` is the channel of the pool whose seat they use."""

    name: str
    kind: str
    channel: str
    number: int
    status: str = ""
    pool: str | None = None
    priority: int = 0
    rank: int | None = None
    moved: bool = False
    granted: bool = False
    until: datetime | None = None
    asked_at: datetime | None = None
    on_offer: bool = False

    size: int = 1
    gathers_until: datetime | None = None
    has_gathered: bool = False

    @property
    def turn(self) -> int:
        """Where they stand if nobody moves them: by lot, or by when they came."""
        return self.number if self.rank is None else self.rank

    def stop_gathering(self) -> None:
        if self.gathers_until is not None:
            self.gathers_until, self.has_gathered = None, True

    def may_use(self, pool: Pool) -> bool:
        return self.kind == pool[0] and pool[1] in (self.channel, EVERYBODY)


@dataclass(frozen=True)
class Published:
    """What is public of a draw: the tickets with their lots once it is closed, the seed once it is held."""

    stage: str
    tickets: tuple[tuple[int, int], ...] | None = None
    seed: bytes | None = None


@dataclass
class Model:
    """One session. `line` is everybody who waits, in order; `told` is what each person must now hear."""

    facts: SessionState
    people: dict[str, Someone] = field(default_factory=dict)
    line: list[Someone] = field(default_factory=list)
    seats: dict[Pool, int] = field(default_factory=dict)
    numbers: int = 0
    settled: bool = False
    dealt_at: datetime | None = None
    told: list[tuple[str, str]] = field(default_factory=list)
    stage: str | None = None
    closed_at: datetime | None = None
    tickets: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        if self.facts.waitlist.policy == "draw" and self.facts.waitlist.draw is not None:
            self.stage = "to_come"

    # What can be asked of it.

    def live(self, now: datetime) -> bool:
        """Whether seats can still change hands."""
        return self.facts.status == "published" and now < self.facts.starts_at_utc

    def kinds(self) -> tuple[str, ...]:
        return {"on_site": ("on_site",), "online": ("online",), "hybrid": ("on_site", "online")}[
            self.facts.modality
        ]

    def using(self, pool: Pool) -> int:
        """How many seats of this pool people have, or are kept for them."""
        return sum(one.size for one in self.people.values() if (one.kind, one.pool) == pool)

    def free(self, pool: Pool) -> int:
        return self.seats.get(pool, 0) - self.using(pool)

    def waiting_for(self, pool: Pool) -> list[Someone]:
        return [one for one in self.line if one.may_use(pool)]

    def party_for_whom_it_gathers(self, pool: Pool) -> Someone | None:
        """Whoever has the free seats of this pool kept for them until they are enough."""
        return next((one for one in self.waiting_for(pool) if one.gathers_until is not None), None)

    def fitting(self, one: Someone) -> Pool | None:
        """The pool that has seats for all of them: their own channel's, else everybody's."""
        for pool in ((one.kind, one.channel), (one.kind, EVERYBODY)):
            if self.free(pool) >= one.size and self.party_for_whom_it_gathers(pool) in (None, one):
                return pool
        return None

    def may_gather(self, one: Someone) -> bool:
        """A party, once, one of a kind at a time, if some of its seats are free and all could ever be."""
        mine = ((one.kind, one.channel), (one.kind, EVERYBODY))
        return (
            one.size > 1
            and not one.has_gathered
            and self.facts.party.gather_hours > 0
            and not any(other.gathers_until for other in self.line if other.kind == one.kind)
            and any(self.free(pool) > 0 for pool in mine)
            and self.could_ever_fit(one)
        )

    def could_ever_fit(self, one: Someone) -> bool:
        """Were everybody gone; a seat over capacity goes with whom it was given to."""
        return any(
            self.seats.get(pool, 0)
            - sum(
                other.size
                for other in self.people.values()
                if other.granted and other.pool == pool[1] and other.kind == pool[0]
            )
            >= one.size
            for pool in ((one.kind, one.channel), (one.kind, EVERYBODY))
        )

    def closed(self, now: datetime) -> str | None:
        """Why nobody can register now, on whatever channel (rule S6); None when everybody can."""
        if self.facts.status == "cancelled":
            return "session-cancelled"
        if not self.live(now) or (self.facts.closes_at is not None and now >= self.facts.closes_at):
            return "registration-closed"
        if self.facts.opens_at is not None and now < self.facts.opens_at:
            return "not-open-yet"
        return None

    def release_is_due(self, now: datetime) -> bool:
        """Whether held seats were to be released since the seats were last dealt."""
        assert self.dealt_at is not None
        return any(self.dealt_at < step.at <= now for step in self.facts.releases)

    # What can happen.

    def request(
        self, name: str, kind: str, channel: str, now: datetime, size: int = 1, *, on_offer: bool = False
    ) -> None:
        """`on_offer`: they wait for many sessions, and say yes to a seat before it is theirs."""
        reason = self.closed(now)
        if reason:
            raise No(reason)
        if size > self.facts.party.limit:
            raise No("party-too-large")
        if self.stage == "cancelled":
            raise No("draw-cancelled")
        if self.stage == "to_come":
            self._enter(name, kind, channel, "pending", None, size).asked_at = now
            return
        pool = self.fitting(Someone(name, kind, channel, 0, size=size))
        if pool is not None:
            one = self._enter(name, kind, channel, "offered" if on_offer else "confirmed", pool[1], size)
            one.until = self.end_of_an_offer(one, now) if on_offer else None
            one.on_offer = on_offer
            return
        if self.facts.waitlist.limit is not None and len(self.line) >= self.facts.waitlist.limit:
            raise No("session-full")
        self.wait(name, kind, channel, size, on_offer=on_offer)
        self._gather_at_once(self.people[name], now)

    def _gather_at_once(self, one: Someone, now: datetime) -> None:
        if self.live(now) and self.may_gather(one):
            one.gathers_until = self.end_of_a_gathering(now)

    def wait(self, name: str, kind: str, channel: str, size: int = 1, *, on_offer: bool = False) -> None:
        one = self._enter(name, kind, channel, "waitlisted", None, size)
        one.on_offer = on_offer
        self.line.append(one)

    def cancel(self, name: str, now: datetime, cause: str = "cancelled_by_staff") -> None:
        one = self._find(name, LIVE, "already-over")
        self._leave(one, "cancelled", cause)
        self.settle(now)

    def accept(self, name: str) -> None:
        one = self._find(name, ("offered",), "offer-over")
        one.status, one.until = "confirmed", None
        self._tell(one, "confirmed")

    def decline(self, name: str, now: datetime) -> None:
        one = self._find(name, ("offered",), "offer-over")
        self._leave(one, "declined", "declined")
        self.settle(now)

    def no_answer(self, name: str, now: datetime) -> None:
        one = self._find(name, ("offered",), "offer-over")
        if self.facts.starts_at_utc - now > timedelta(hours=24):
            raise No("too-early")
        self._leave(one, "expired", "offer_expired")
        self.settle(now)

    def time_is_up(self, now: datetime, seen: Published | None = None) -> None:
        """The timers look: late offers end, and seats whose release has come belong to everybody.

        `seen`: what is then public of the draw. Its seed and who is in more than one lot are for the system
        to say, everything else follows.
        """
        for one in list(self.people.values()):
            if one.status == "offered" and one.until is not None and one.until <= now:
                self._leave(one, "expired", "offer_expired")
            elif one.gathers_until is not None and one.gathers_until <= now:
                one.stop_gathering()
        self.settle(now)
        draw = self.facts.waitlist.draw
        if self.stage != "to_come" or draw is None or not self.live(now):
            return
        if self.closed_at is None and now >= draw.closes_at:
            self.closed_at = now
            assert seen is not None
            assert seen.tickets is not None, "what will be drawn is public as soon as it is closed"
            self.tickets = seen.tickets
            equal = [one.number for one in self.waiting_for_the_draw() if one.asked_at < draw.closes_at]
            assert [number for number, _ in self.tickets] == equal, "all who asked in time, and nobody else"
            assert {lots for _, lots in self.tickets} <= {1, draw.first_time_lots}
        elif self.closed_at is not None and now >= self.closed_at + PAUSE:
            assert seen is not None
            assert seen.seed is not None, "the seed is public once it has drawn"
            self.draw(seen.seed, now)

    def waiting_for_the_draw(self) -> list[Someone]:
        return [one for one in self.people.values() if one.status == "pending"]

    def draw(self, seed: bytes, now: datetime) -> None:
        """Each ticket draws as many numbers as it has lots and shows its lowest; the lowest goes first."""
        assert self.tickets is not None
        shown = {
            ticket: min(hmac.new(seed, f"{ticket}:{i}".encode(), "sha256").hexdigest() for i in range(lots))
            for ticket, lots in self.tickets
        }
        order = sorted(shown, key=lambda ticket: shown[ticket])
        self.stage = "drawn"
        self.deal(now)
        late = []
        people = {one.number: one for one in self.waiting_for_the_draw()}
        for number, one in people.items():
            one.rank = order.index(number) + 1 if number in shown else None
            if one.rank is None:
                late.append(number)
        for number in [*order, *late]:
            if number in people:
                self._seat_or_line(people[number], now)
        self.settle(now)

    def _seat_or_line(self, one: Someone, now: datetime) -> None:
        pool = self.fitting(one)
        if pool is not None:
            one.status, one.pool = "confirmed", pool[1]
        else:
            one.status = "waitlisted"
            self.line.append(one)
            self._gather_at_once(one, now)
        self._tell(one, one.status)

    def cancel_draw(self, now: datetime) -> None:
        if self.stage != "to_come":
            raise No("draw-over")
        self.stage = "cancelled"
        for one in self.waiting_for_the_draw():
            self._leave(one, "cancelled", "draw_cancelled")
        self.settle(now)

    def split(self, name: str, new_name: str, size: int, now: datetime) -> None:
        """Some of a party go on by themselves, right behind the others."""
        one = self._find(name, ("waitlisted",), "not-waiting")
        if not 0 < size < one.size:
            raise No("not-smaller")
        new = self._enter(new_name, one.kind, one.channel, "waitlisted", None, size)
        new.priority, new.moved = one.priority, True
        new.has_gathered = one.has_gathered or one.gathers_until is not None
        self.line.insert(self.line.index(one) + 1, new)
        self._become_smaller(one, one.size - size)
        self.settle(now)
        if new.status == "offered":
            self.told.remove((new_name, "waitlisted"))

    def shrink(self, name: str, size: int, now: datetime) -> None:
        """Fewer come than were to; whoever waits gets the seats."""
        one = self._find(name, LIVE, "already-over")
        if not 0 < size < one.size:
            raise No("not-smaller")
        self._become_smaller(one, size)
        self.settle(now)

    def _become_smaller(self, one: Someone, size: int) -> None:
        one.size = size
        if size == 1:
            one.stop_gathering()

    def grant(self, name: str, now: datetime) -> None:
        one = self._find(name, ("waitlisted",), "not-waiting")
        self.line.remove(one)
        one.status, one.pool, one.granted, one.gathers_until = "confirmed", EVERYBODY, True, None
        self._tell(one, "confirmed")
        self.settle(now)

    def attend(self, name: str, outcome: str, now: datetime) -> None:
        """Who came is noted from the start on; the seat is still theirs, and nobody is told."""
        one = self._find(name, SEATED, "no-seat")
        if now < self.facts.starts_at_utc:
            raise No("not-begun")
        if self.facts.status == "cancelled":
            raise No("already-over")
        one.status = outcome

    def move(self, name: str, before: str | None) -> None:
        one = self._find(name, ("waitlisted",), "not-waiting")
        if before == name:
            return
        anchor = None if before is None else self._find(before, ("waitlisted",), "not-waiting")
        self.line.remove(one)
        one.moved = True
        if anchor is None:
            one.priority = 0
            self.line.append(one)
        else:
            one.priority = anchor.priority
            self.line.insert(self.line.index(anchor), one)

    def prioritise(self, name: str, priority: int, line: list[str]) -> None:
        """`line` is the order that came of it.

        Only part of it follows from the rules: the classes come in order, nobody else changes places, and
        the person stands by number among those whom nobody has moved.
        """
        one = self._find(name, ("waitlisted",), "not-waiting")
        others = [other.name for other in self.line if other is not one]
        assert [other for other in line if other != name] == others, "nobody else changes places"
        one.priority, one.moved = priority, False
        self.line = [self.people[who] for who in line]
        classes = [other.priority for other in self.line]
        assert classes == sorted(classes, reverse=True), "the higher class first"
        turns = [other.turn for other in self.line if other.priority == priority and not other.moved]
        assert turns == sorted(turns), "within a class, by lot, then first come, first served"

    def transfer(self, name: str, there: "Model", new_name: str, now: datetime, *, may_wait: bool) -> "Model":
        """Somebody leaves for another session; returns what becomes of that one. All of it, or nothing."""
        one = self.people[name]
        if one.status not in LIVE or not self.live(now):
            raise No("already-over")
        there = deepcopy(there)
        if there.closed(now) is None and there.release_is_due(now):
            there.settle(now)
        told = list(there.told)
        kind = one.kind if one.kind in there.kinds() else there.kinds()[0]
        there.request(new_name, kind, one.channel, now, one.size)
        if there.people[new_name].status == "waitlisted" and not may_wait:
            raise No("session-full")
        there.told = [*told, (new_name, "transferred")]
        self._leave(one, "cancelled")
        self.settle(now)
        return there

    def replan(self, facts: SessionState, now: datetime) -> None:
        """`events` says something new of the session."""
        earlier = facts.starts_at_utc < self.facts.starts_at_utc
        # How seats are given was decided before the first request.
        kept = {name: getattr(self.facts.waitlist, name) for name in ("policy", "draw")}
        facts = facts.model_copy(update={"waitlist": facts.waitlist.model_copy(update=kept)})
        disturbed = (facts.starts_at_utc, facts.modality) != (self.facts.starts_at_utc, self.facts.modality)
        self.facts = facts
        alive = [one for one in self.people.values() if one.status in LIVE]
        if facts.status == "cancelled":
            for one in alive:
                self._leave(one, "cancelled", "session_cancelled")
        else:
            for one in alive:
                if one.kind not in self.kinds():
                    one.kind = self.kinds()[0]
                    one.pool = None if one.pool is None else EVERYBODY
                    one.stop_gathering()
                if earlier and one.until is not None:
                    one.until = min(one.until, self.end_of_an_offer(one, now))
                if earlier and one.gathers_until is not None:
                    one.gathers_until = min(one.gathers_until, self.end_of_a_gathering(now))
                if disturbed:
                    self._tell(one, "session_changed")
        self.settle(now)

    # What follows from it.

    def settle(self, now: datetime) -> None:
        """Share the seats out, then offer them to the first in line whom they are enough for.

        A party for whom seats gather was promised them, and comes before the line. The first party that
        could have some of what it needs, and not all, has what is free kept for it from then on.
        """
        self.settled = True
        self.deal(now)
        for one in self.line if self.live(now) else ():
            if one.gathers_until is not None and self.fitting(one) is None and not self.could_ever_fit(one):
                one.stop_gathering()
        while self.live(now):
            promised = [one for one in self.line if one.gathers_until is not None and self.fitting(one)]
            chances = (one for one in self.line if self.fitting(one) or self.may_gather(one))
            one = next(iter(promised), None) or next(chances, None)
            if one is None:
                return
            pool = self.fitting(one)
            if pool is None:
                one.gathers_until = self.end_of_a_gathering(now)
                continue
            self.line.remove(one)
            one.status, one.pool, one.until = "offered", pool[1], self.end_of_an_offer(one, now)
            one.gathers_until = None
            self._tell(one, "offered")

    def deal(self, now: datetime) -> None:
        """How many seats each pool has from now on.

        Everybody keeps the seat they have. Each channel wants what it still holds. If that is more than
        there is, the pool with the latest release gives up its free seats first; if less, the rest is
        everybody's.
        """
        self.seats, self.dealt_at = {}, now
        for kind in ("on_site", "online"):
            planned = getattr(self.facts.capacity, kind) if kind in self.kinds() else 0
            granted = sum(one.size * one.granted for one in self.people.values() if one.kind == kind)
            used = {channel: self.using((kind, channel)) for channel in self._channels(kind)}
            total = max(planned + granted, sum(used.values()))
            deal = {channel: max(used[channel], self.held(kind, channel, now)) for channel in used}
            while sum(deal.values()) > total:
                generous = [channel for channel in deal if deal[channel] > used[channel]]
                deal[max(generous, key=lambda channel: (self._last_release(kind, channel), channel))] -= 1
            deal[EVERYBODY] += total - sum(deal.values())
            self.seats |= {(kind, channel): count for channel, count in deal.items()}

    def held(self, kind: str, channel: str, now: datetime) -> int:
        """How many seats are still kept for a channel, whoever sits on them."""
        held = sum(
            item.seats for item in self.facts.held_seats if (item.seat_kind, item.channel) == (kind, channel)
        )
        gone = sum(
            step.seats
            for step in self.facts.releases
            if (step.seat_kind, step.channel) == (kind, channel) and step.at <= now
        )
        return max(0, held - gone)

    def end_of_an_offer(self, one: Someone, now: datetime) -> datetime:
        """The session's hours, at most half of what is left; 15 minutes on the last day, never less.

        Who asked by telephone is called: their hours are those of the office, Monday to Friday, 9 to 16.
        """
        hours = timedelta(hours=self.facts.waitlist.offer_hours)
        end = office_has_been_open(hours, now) if one.channel == CALLED else now + hours
        return self._half_of_what_is_left(now, end)

    def end_of_a_gathering(self, now: datetime) -> datetime:
        """In the same way, so that the line has its turn before the session."""
        return self._half_of_what_is_left(now, now + timedelta(hours=self.facts.party.gather_hours))

    def _half_of_what_is_left(self, now: datetime, end: datetime) -> datetime:
        left = self.facts.starts_at_utc - now
        if left <= timedelta(days=1):
            return now + timedelta(minutes=15)
        return max(now + timedelta(minutes=15), min(end, now + left / 2))

    def _channels(self, kind: str) -> set[str]:
        return (
            {EVERYBODY}
            | {item.channel for item in self.facts.held_seats if item.seat_kind == kind}
            | {one.pool for one in self.people.values() if one.kind == kind and one.pool is not None}
        )

    def _last_release(self, kind: str, channel: str) -> float:
        dates = [
            step.at.timestamp()
            for step in self.facts.releases
            if (step.seat_kind, step.channel) == (kind, channel)
        ]
        return max(dates, default=float("inf"))

    def _enter(
        self, name: str, kind: str, channel: str, status: str, pool: str | None, size: int = 1
    ) -> Someone:
        self.numbers += 1
        one = Someone(name, kind, channel, self.numbers, status, pool, size=size)
        self.people[name] = one
        self._tell(one, status)
        return one

    def _leave(self, one: Someone, status: str, cause: str | None = None) -> None:
        if one in self.line:
            self.line.remove(one)
        one.status, one.pool, one.until, one.granted = status, None, None, False
        one.gathers_until = None
        if cause is not None:
            self._tell(one, cause)

    def _find(self, name: str, statuses: tuple[str, ...], otherwise: str) -> Someone:
        one = self.people[name]
        if one.status not in statuses:
            raise No(otherwise)
        return one

    def _tell(self, one: Someone, cause: str) -> None:
        self.told.append((one.name, cause))


def office_has_been_open(span: timedelta, since: datetime) -> datetime:
    """Step by step from one opening or closing to the next; sessions are in UTC, and far from holidays."""
    at = since
    while True:
        hour = at.hour + at.minute / 60 + at.second / 3600 + at.microsecond / 3.6e9
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        if at.weekday() > 4 or hour >= 16:
            at = midnight + timedelta(days=1)
        elif hour < 9:
            at = midnight + timedelta(hours=9)
        else:
            closing = midnight + timedelta(hours=16)
            if span <= closing - at:
                return at + span
            span, at = span - (closing - at), closing
