"""What the clients were answered, held against the tables: every answer true, every change asked for."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.journal import Asked
from tests.chaos.programme import Programme
from tests.chaos.tables import Caused, Row, Tables

RANK = {
    "pending": 0,
    "waitlisted": 1,
    "offered": 2,
    "confirmed": 3,
    "expired": 4,
    "declined": 4,
    "cancelled": 5,
}
"""No state comes back: what somebody sees later never ranks lower."""

REFUSALS: Mapping[str, frozenset[tuple[int, str]]] = {
    "register": frozenset({(409, "session-full"), (409, "session-cancelled"), (409, "maybe-duplicate")}),
    "register repeat": frozenset(
        {(409, "session-full"), (409, "session-cancelled"), (409, "maybe-duplicate")}
    ),
    "register again": frozenset(
        {(409, "session-full"), (409, "session-cancelled"), (409, "maybe-duplicate")}
    ),
    "register otherwise": frozenset({(422, "idempotency-key-reused")}),
    "show": frozenset(),
    "cancel": frozenset({(409, "already-over")}),
    "accept": frozenset({(409, "offer-over")}),
    "decline": frozenset({(409, "offer-over")}),
    "priority": frozenset({(409, "not-waiting")}),
    "move": frozenset({(409, "not-waiting")}),
    "grant": frozenset({(409, "not-waiting")}),
    "no-answer": frozenset({(409, "offer-over"), (409, "too-early")}),
    "transfer": frozenset(
        (409, slug)
        for slug in (
            "already-over",
            "already-registered",
            "same-session",
            "session-full",
            "session-cancelled",
        )
    ),
    "seats": frozenset(),
    "line": frozenset(),
}
"""What each request may be refused for; anything else is an error of the service."""
IF_CANCELLED = {"grant": {(409, "already-over")}}
LOGGED_AS = {"priority": "prioritised", "move": "moved", "grant": "granted", "no-answer": "no_answer"}
STAFF_ACTIONS = ("priority", "move", "grant", "transfer", "no-answer")
PLACE_CHANGERS = ("priority", "move", "grant", "transfer")
OVER = ("expired", "declined", "cancelled")


@dataclass(slots=True)
class Heard:
    """Everything that the clients asked and heard, by registration, key and name."""

    asked: list[Asked]
    wrong: list[str]
    about: defaultdict[str, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    registers: list[Asked] = field(default_factory=list)
    by_key: defaultdict[str, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    names: defaultdict[str, list[Asked]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for asked in self.asked:
            request = asked.request
            if request.registration is not None:
                self.about[request.registration].append(asked)
            if request.kind.startswith("register"):
                self.registers.append(asked)
                self.names[str((request.body or {})["name"])].append(asked)
                if request.key is not None:
                    self.by_key[request.key].append(asked)

    def sent(self, id_: str, *kinds: str) -> bool:
        """Whether anybody asked for one of these about a registration, answered or not."""
        return any(asked.request.kind in kinds for asked in self.about.get(id_, ()))

    def touched(self, tables: Tables) -> frozenset[str]:
        """Registrations whose place staff changed or may have changed, and those born of a transfer."""
        found = {id_ for id_ in self.about if self.sent(id_, *PLACE_CHANGERS)}
        born = {id_ for id_, row in tables.registrations.items() if not self.asked_for(row)}
        return frozenset(found | born)

    def asked_for(self, row: Row) -> bool:
        """Whether somebody of this name asked to register in this session."""
        session = str(row["session_id"])
        return any(asked.request.session == session for asked in self.names.get(row["name"], ()))


Promise = Callable[[Heard, Tables, Programme], Iterator[str]]


def answers_were_right_by_themselves(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """No 500, no problem of another shape, no seats that can't be, no 503 without Retry-After."""
    yield from heard.wrong
    for asked in heard.asked:
        if asked.status is None:
            yield f"{_what(asked)} never got an answer"
        elif asked.status >= 500:
            yield f"{_what(asked)} got {asked.status} {asked.slug}"


def refusals_were_right(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """Nothing is refused without one of the reasons that its request may be refused for, nor untruly."""
    limited = {s.id for s in programme.sessions if any(said.waitlist.limit is not None for said in s.said)}
    for asked in heard.asked:
        kind = asked.request.kind
        if asked.status is None or not 400 <= asked.status < 500:
            continue
        cancelled = asked.request.session == programme.cancelled
        allowed = REFUSALS[kind] | (IF_CANCELLED.get(kind, set()) if cancelled else set())
        if (asked.status, asked.slug) not in allowed:
            yield f"{_what(asked)} was refused: {asked.status} {asked.slug}"
        if asked.slug == "session-full" and kind != "transfer" and asked.request.session not in limited:
            yield f"{_what(asked)}: full, but anybody may wait there"
        if asked.slug == "session-cancelled" and kind != "transfer" and not cancelled:
            yield f"{_what(asked)}: cancelled, but it isn't"


def registrations_exist_as_answered(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """S3, S5: who was answered a registration has it, and it began as they were told."""
    for asked in heard.registers:
        if not asked.done:
            continue
        if asked.request.kind == "register otherwise":
            yield f"{_what(asked)} was answered like another request under its key"
            continue
        answer = asked.answer
        row, history = tables.registrations.get(answer["id"]), tables.history.get(answer["id"], [])
        if row is None or not history:
            yield f"{_what(asked)} was answered {answer['id']}, which isn't there"
            continue
        told = (answer["status"], answer["position"], answer["confirmation_number"])
        began = (history[0].status, history[0].position, row["confirmation_number"])
        if told != began:
            yield f"{_what(asked)} was told {told}, it began as {began}"
        if (
            row["name"] != (asked.request.body or {})["name"]
            or str(row["session_id"]) != asked.request.session
        ):
            yield f"{_what(asked)} was answered somebody else's registration {answer['id']}"


def one_key_gives_one_registration(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """S5: a retry, a double click or a repeat gets the same answer, and is done once."""
    for key, asked in heard.by_key.items():
        done = [each for each in asked if each.done and each.request.kind != "register otherwise"]
        answers = {tuple(sorted(each.answer.items(), key=str)) for each in done}
        if len(answers) > 1:
            yield f"{key!r} was answered differently: {sorted(answers, key=str)[:2]}"
        created = [each for each in done if each.status == 201]
        if len(created) > 1:
            yield f"{key!r} created {len(created)} registrations"
        answered = min((each.answered for each in done), default=None)
        for each in asked:
            late = answered is not None and each.request.sent > answered
            if late and not each.done and each.status is not None and each.status != 422:
                yield f"{_what(each)} was refused ({each.slug}) though its key had been answered"


def nobody_is_there_unasked(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """S5: each row was asked for: once by each key, once by each transfer.

    Without a key, what a client gave up waiting for may still be done, once the first has ended again.
    """
    rows = Counter(row["name"] for row in tables.registrations.values())
    for name, count in rows.items():
        asked = [each for each in heard.names.get(name, ()) if each.request.kind != "register otherwise"]
        keys = len({each.request.key for each in asked if each.request.key is not None})
        without = sum(each.tries for each in asked if each.request.key is None)
        ids = [each.answer["id"] for each in asked if each.done]
        moved = sum(heard.sent(id_, "transfer") for id_ in _related(heard, ids))
        if count > keys + without + moved:
            yield f"{name} has {count} registrations, by {keys} keys, {without} without, {moved} transfers"


def actions_took_effect(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """S3: who was told that they are cancelled, confirmed, gone or seen in a state has been in it."""
    for id_, asked in heard.about.items():
        row = tables.registrations.get(id_)
        if row is None:
            yield f"{id_} was answered about and isn't there"
            continue
        states = {step.status for step in tables.history.get(id_, ())}
        for each in asked:
            told = each.answer.get("status") if each.done and each.answer.get("id") == id_ else None
            if told is not None and told not in states:
                yield f"{_what(each)} was told {told}; it has only been {sorted(states)}"
            wanted = {"cancel": "cancelled", "decline": "declined", "accept": "confirmed"}.get(
                each.request.kind
            )
            # Asked again with its key, an action shows what is so by now, which another may have changed.
            if told is not None and wanted is not None and told != wanted and each.tries == 1:
                yield f"{_what(each)} was done, and answered {told}"
        final = {"cancel": "cancelled", "decline": "declined"}
        for each in asked:
            ended = final.get(each.request.kind)
            if each.done and ended is not None and row["status"] != ended:
                yield f"{_what(each)} was done, and it is {row['status']}"


def nothing_goes_back(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """What was seen by one answer is never unseen by a request that left after it, nor by the end."""
    first = {asked.answer["id"]: asked for asked in reversed(heard.registers) if asked.done}
    for id_, asked in heard.about.items():
        row = tables.registrations.get(id_)
        seen = [
            each for each in asked if each.done and each.answer.get("id") == id_ and "status" in each.answer
        ]
        if id_ in first:
            seen.append(first[id_])
        by_answer = sorted(seen, key=lambda each: each.answered)
        by_start = sorted((each for each in seen if not each.request.kind.startswith("register")),
                          key=lambda each: each.request.sent)  # fmt: skip
        known, index = None, 0
        for each in by_start:
            while index < len(by_answer) and by_answer[index].answered < each.request.sent:
                earlier = by_answer[index]
                if known is None or _rank(earlier) > _rank(known):
                    known = earlier
                index += 1
            if known is not None and _rank(each) < _rank(known):
                saw = f"{_what(each)} saw {each.answer['status']}"
                yield f"{saw} after {_what(known)} saw {known.answer['status']}"
        if row is not None and seen and RANK.get(row["status"], 9) < max(map(_rank, seen)):
            yield f"{id_} is {row['status']}, and was seen {max(seen, key=_rank).answer['status']}"


def refused_actions_had_ended(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """S3: « already over » is said of what is over; an offer that was seen is over once it is refused."""
    for id_, asked in heard.about.items():
        row = tables.registrations.get(id_)
        offered = [each.answered for each in asked if each.answer.get("status") == "offered"]
        for each in asked:
            if row is None:
                continue
            if each.slug == "already-over" and each.request.kind == "cancel" and row["status"] not in OVER:
                yield f"{_what(each)} is « already over », and it is {row['status']}"
            saw = any(at < each.request.sent for at in offered)
            if each.slug == "offer-over" and saw and row["status"] == "offered":
                yield f"{_what(each)} is « over », and the seat is still offered"


def every_change_was_asked_for(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """S3: nobody is dropped: each end has somebody who wanted it, or an offer whose time was over."""
    for id_, row in tables.registrations.items():
        session = str(row["session_id"])
        before: Caused | None = None
        until = None
        for step in tables.history.get(id_, ()):
            if before is not None and step.status != before.status:
                asked: tuple[str, ...] = {
                    "cancelled": ("cancel", "transfer"),
                    "declined": ("decline",),
                    "confirmed": ("accept", "grant"),
                    "expired": ("no-answer",),
                }.get(step.status, ())
                by_time = step.status == "expired" and until is not None and step.at >= until
                by_session = step.status == "cancelled" and session == programme.cancelled
                if asked and not (by_time or by_session or heard.sent(id_, *asked)):
                    yield f"{id_} became {step.status} at {step.at} ({step.cause}), and nobody asked for it"
            before, until = step, step.offer_expires_at
        if before is None:
            yield f"{id_} has no history"


def numbers_follow_the_clock(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """S4: who had an answer before somebody else even asked has the smaller number."""
    by_session: defaultdict[str, list[Asked]] = defaultdict(list)
    first: dict[str, Asked] = {}
    for asked in heard.registers:
        if asked.done and asked.answer["id"] in tables.registrations:
            known = first.get(asked.answer["id"])
            if known is None or asked.request.sent < known.request.sent:
                first[asked.answer["id"]] = asked
    for asked in first.values():
        by_session[str(asked.request.session)].append(asked)
    for all_asked in by_session.values():
        answered = sorted(all_asked, key=lambda each: each.answered)
        highest, index = 0, 0
        for each in sorted(all_asked, key=lambda each: each.request.sent):
            while index < len(answered) and answered[index].answered < each.request.sent:
                highest = max(highest, _number(tables, answered[index]))
                index += 1
            if _number(tables, each) < highest:
                yield f"{_what(each)} got number {_number(tables, each)}, after number {highest} was answered"


def staff_actions_are_logged(heard: Heard, tables: Tables, programme: Programme) -> Iterator[str]:
    """S1, S4: what staff did out of the usual order is logged, and nothing that they didn't ask for."""
    logged = {id_: Counter(actions) for id_, actions in tables.actions.items()}
    for id_, asked in heard.about.items():
        for kind, action in LOGGED_AS.items():
            mine = [each for each in asked if each.request.kind == kind]
            done = sum(each.done for each in mine)
            # One that was asked again, for want of an answer, may have been done each time.
            tries = sum(each.tries for each in mine)
            if not done <= logged.get(id_, Counter())[action] <= tries:
                yield f"{id_}: {kind} was done {done} times, asked {tries}, logged {logged.get(id_)}"
        for each in asked:
            moved = each.request.kind == "transfer" and each.done
            if moved and logged.get(each.answer["id"], Counter())["transferred"] != 1:
                yield f"{_what(each)} is logged as {logged.get(each.answer['id'])}"


PROMISES: Mapping[str, Promise] = {
    promise.__name__: promise
    for promise in (
        answers_were_right_by_themselves,
        refusals_were_right,
        registrations_exist_as_answered,
        one_key_gives_one_registration,
        nobody_is_there_unasked,
        actions_took_effect,
        nothing_goes_back,
        refused_actions_had_ended,
        every_change_was_asked_for,
        numbers_follow_the_clock,
        staff_actions_are_logged,
    )
}


def _related(heard: Heard, ids: list[str]) -> set[str]:
    """These registrations and those that they were transferred to, as far as anybody was told."""
    found: set[str] = set()
    left = list(ids)
    while left:
        id_ = left.pop()
        if id_ in found:
            continue
        found.add(id_)
        left += [
            each.answer["id"]
            for each in heard.about.get(id_, ())
            if each.request.kind == "transfer" and each.done
        ]
    return found


def _rank(asked: Asked) -> int:
    return RANK.get(asked.answer["status"], 9)


def _number(tables: Tables, asked: Asked) -> int:
    return int(tables.registrations[asked.answer["id"]]["seq"])


def _what(asked: Asked) -> str:
    request = asked.request
    return f"{request.kind} {request.id} ({request.registration or request.session})"
