"""Waits for many sessions told a second time, as simply as they can be: who joins which line, and when.

Each session is a `Model`; here is what binds several of them. Written from docs/waits.md, not from the code.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.messaging.contracts import SessionState
from tests.registrations.seats.model import LIVE, Model, Someone


@dataclass
class Waiting:
    """Somebody who would go to any session of a theme, in one of `regions` (none: anywhere).

    `online`: by video as well. `met`: the sessions in whose line they stood or stand; no session asks twice.
    """

    name: str
    channel: str
    theme: str
    regions: frozenset[str]
    online: bool
    status: str = "open"
    met: set[UUID] = field(default_factory=set)
    looks_again: bool = False

    def kind_at(self, facts: SessionState) -> str | None:
        """The kind of seat there that they wait for; the room comes before the call."""
        if facts.theme != self.theme:
            return None
        if facts.modality != "online" and (not self.regions or facts.region in self.regions):
            return "on_site"
        return "online" if self.online and facts.modality != "on_site" else None


@dataclass
class Lines:
    """Sessions, and the waits in the order in which they began."""

    sessions: dict[UUID, Model] = field(default_factory=dict)
    waits: dict[str, Waiting] = field(default_factory=dict)
    joins_at: dict[UUID, datetime] = field(default_factory=dict)
    """From when on those who wait are to join a session that is new or changed."""

    def announce(self, facts: SessionState, now: datetime) -> None:
        """`events` says something of a session. Of a mere place in a line nobody ever heard anything."""
        model = self.sessions.get(facts.id)
        if model is None:
            model = self.sessions[facts.id] = Model(facts)
            model.settle(now)
        else:
            places = self._mere_places(model)
            model.replan(facts, now)
            if facts.status != "cancelled":
                places &= self._mere_places(model)
            told = ("session_cancelled", "session_changed")
            model.told = [(who, why) for who, why in model.told if who not in places or why not in told]
        self.joins_at.pop(facts.id, None)
        wanted = any(wait.status == "open" and wait.theme == facts.theme for wait in self.waits.values())
        if model.live(now) and (wanted or self._mere_places(model)):
            self.joins_at[facts.id] = max(now, facts.opens_at or now)

    def begin(self, wait: Waiting, now: datetime) -> None:
        self.waits[wait.name] = wait
        self._look_everywhere(wait, now)

    def request(self, id_: UUID, name: str, kind: str, channel: str, now: datetime) -> None:
        """A newcomer comes after everybody who waited for this session to open."""
        if id_ in self.joins_at and self.joins_at[id_] <= now:
            self._join(id_, now)
        self.sessions[id_].request(name, kind, channel, now)

    def look(self, now: datetime) -> None:
        """Sessions that are new or changed are joined; who let a seat go looks for another one."""
        due = [wait for wait in self.waits.values() if wait.looks_again]
        marked = [(at, id_) for id_, at in self.joins_at.items() if at <= now]
        for _, id_ in sorted(marked):
            self._join(id_, now)
        for wait in due:
            if wait.status == "open":
                self._look_everywhere(wait, now)

    def time_is_up(self, now: datetime) -> None:
        for model in self.sessions.values():
            offered = {one.name for one in model.people.values() if one.status == "offered"}
            model.time_is_up(now)
            for name in offered:
                if model.people[name].status == "expired":
                    self._looks_again(name)

    # Answers.

    def accept(self, id_: UUID, name: str, now: datetime) -> None:
        self.sessions[id_].accept(name)
        self._found(id_, name, now)

    def grant(self, id_: UUID, name: str, now: datetime) -> None:
        self.sessions[id_].grant(name, now)
        self._found(id_, name, now)

    def decline(self, id_: UUID, name: str, now: datetime) -> None:
        self.sessions[id_].decline(name, now)
        self._looks_again(name)

    def cancel(self, id_: UUID, name: str, now: datetime) -> None:
        self.sessions[id_].cancel(name, now)
        self._looks_again(name)

    def give_up(self, name: str, now: datetime) -> None:
        self._leave_all(name, now, but=None)
        self.waits[name].status = "ended"

    # What follows from it.

    def _found(self, id_: UUID, name: str, now: datetime) -> None:
        """One yes ends everything else."""
        wait = self.waits.get(name)
        if wait is not None and wait.status == "open":
            self._leave_all(name, now, but=id_)
            wait.status = "found"

    def _leave_all(self, name: str, now: datetime, but: UUID | None) -> None:
        for id_, model in self.sessions.items():
            if id_ != but and name in model.people and model.people[name].status in LIVE:
                self._leave(model, name, now)

    def _leave(self, model: Model, name: str, now: datetime) -> None:
        """Without a word; the seat goes on."""
        model.cancel(name, now, "without a word")
        model.told.remove((name, "without a word"))

    def _looks_again(self, name: str) -> None:
        if name in self.waits and self.waits[name].status == "open":
            self.waits[name].looks_again = True

    def _look_everywhere(self, wait: Waiting, now: datetime) -> None:
        """The soonest first."""
        wait.looks_again = False
        for id_, model in sorted(
            self.sessions.items(), key=lambda item: (item[1].facts.starts_at_utc, item[0])
        ):
            if model.live(now) and id_ not in wait.met and wait.kind_at(model.facts):
                self._join(id_, now, only=wait)

    def _join(self, id_: UUID, now: datetime, only: Waiting | None = None) -> None:
        """Those who wait for such a session come in the order in which they began to wait."""
        model = self.sessions[id_]
        opens = model.facts.opens_at
        opens_later = opens is not None and opens > now
        if opens is not None and opens_later:
            self.joins_at[id_] = opens
        elif only is None:
            self.joins_at.pop(id_, None)
        if opens_later or not model.live(now):
            return
        for one in list(model.line):
            if one.on_offer and self.waits[one.name].kind_at(model.facts) is None:
                self._leave(model, one.name, now)
        for wait in self.waits.values() if only is None else (only,):
            self._join_one(id_, model, wait, now)

    def _join_one(self, id_: UUID, model: Model, wait: Waiting, now: datetime) -> None:
        kind = wait.kind_at(model.facts)
        if wait.status != "open" or id_ in wait.met or kind is None or model.closed(now) is not None:
            return
        is_free = model.fitting(Someone(wait.name, kind, wait.channel, 0)) is not None
        if is_free and self._has_offer(wait):
            return  # Nobody is kept two seats because both are free.
        model.request(wait.name, kind, wait.channel, now, on_offer=True)
        wait.met.add(id_)
        if not is_free:
            model.told.remove((wait.name, "waitlisted"))

    def _has_offer(self, wait: Waiting) -> bool:
        return any(self.sessions[id_].people[wait.name].status == "offered" for id_ in wait.met)

    def _mere_places(self, model: Model) -> set[str]:
        return {one.name for one in model.line if one.on_offer}
