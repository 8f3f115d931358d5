"""What must hold in the tables and in the log whatever happened; written without the service's rules.

Each check takes the tables and the programme as it was last said, and yields a sentence for each difference.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from tests.chaos.programme import Planned, Programme
from tests.chaos.tables import SEATED, TRANSFERRED, Row, Tables

Check = Callable[[Tables, Programme], Iterator[str]]
LIVE = ("pending", "waitlisted", "offered", "confirmed")
COUNTERS = ("confirmed", "offered", "waiting", "granted")
FOLLOWS = {
    None: {"confirmed", "waitlisted", "pending"},
    "pending": {"confirmed", "waitlisted", "cancelled"},
    "waitlisted": {"offered", "confirmed", "cancelled"},
    "offered": {"confirmed", "expired", "declined", "cancelled"},
    "confirmed": {"cancelled", "attended", "absent", "excused"},
}
"""The seat machine of ARCHITECTURE.md; a grant leads straight from the line to a seat."""


def counters_count(tables: Tables, programme: Programme) -> Iterator[str]:
    """S1: the counters of each pool are the registrations that use it, and those that wait for it."""
    for session in programme.sessions:
        pools = tables.pools.get(session.id, ())
        right: Counter[tuple[str, str, str]] = Counter()
        for row in tables.of_session.get(session.id, ()):
            kind, pool = row["seat_kind"], row["pool_channel"]
            if row["status"] == "waitlisted":
                own = [
                    p["channel"] for p in pools if p["seat_kind"] == kind and p["channel"] == row["channel"]
                ]
                for channel in {"", *own}:
                    right[kind, channel, "waiting"] += 1
            elif row["status"] in (*SEATED, "offered"):
                right[kind, pool, "offered" if row["status"] == "offered" else "confirmed"] += 1
                right[kind, pool, "granted"] += row["granted"]
        counted = {(p["seat_kind"], p["channel"], name): p[name] for p in pools for name in COUNTERS}
        for key in sorted(right.keys() | counted.keys()):
            if right[key] != counted.get(key, 0):
                yield f"{session.label}: pool {key} counts {counted.get(key)}, the rows {right[key]}"


def no_pool_is_oversold(tables: Tables, programme: Programme) -> Iterator[str]:
    """S1: per pool, and in total no more seats than planned and granted, but for those in use."""
    for session in programme.sessions:
        for kind in ("on_site", "online"):
            pools = [pool for pool in tables.pools.get(session.id, ()) if pool["seat_kind"] == kind]
            for pool in pools:
                if min(pool["confirmed"], pool["offered"]) < 0 or _free(pool) < 0:
                    yield f"{session.label}: {dict(pool)} is oversold"
            planned = getattr(session.state.capacity, kind) if kind in session.kinds else 0
            right = max(planned + _granted(tables, session, kind), sum(_used(pool) for pool in pools))
            effective = sum(pool["effective"] for pool in pools)
            if effective != right:
                yield f"{session.label}: {effective} seats {kind}, {right} were planned, granted or in use"


def held_seats_are_held(tables: Tables, programme: Programme) -> Iterator[str]:
    """A pool holds what the plan holds for it now, or what is in use; everybody gets what is left."""
    for session in programme.sessions:
        held = _held_now(session, tables.now)
        for pool in tables.pools.get(session.id, ()):
            if not pool["channel"]:
                continue
            wanted = max(held.get((pool["seat_kind"], pool["channel"]), 0), _used(pool))
            general = [
                _free(other)
                for other in tables.pools[session.id]
                if other["seat_kind"] == pool["seat_kind"] and not other["channel"]
            ]
            if pool["effective"] > wanted:
                yield f"{session.label}: {dict(pool)} holds more than {wanted}"
            elif pool["effective"] < wanted and sum(general):
                yield f"{session.label}: {dict(pool)} holds less than {wanted} while general seats are free"


def nobody_waits_for_a_free_seat(tables: Tables, programme: Programme) -> Iterator[str]:
    """S2: no seat is free in a pool that somebody who waits may use."""
    for session in programme.sessions:
        if session.state.status != "published" or session.state.starts_at_utc <= tables.now:
            continue
        free = {(p["seat_kind"], p["channel"]): _free(p) for p in tables.pools.get(session.id, ())}
        for row in tables.of_session.get(session.id, ()):
            if row["status"] == "waitlisted":
                for pool in ((row["seat_kind"], row["channel"]), (row["seat_kind"], "")):
                    if free.get(pool, 0) > 0:
                        yield f"{session.label}: number {row['seq']} waits while {pool} has {free[pool]} free"


def numbers_are_given_once(tables: Tables, programme: Programme) -> Iterator[str]:
    """S4: no two people of a session have one number, and none is beyond the last one given."""
    for session in programme.sessions:
        rows = tables.of_session.get(session.id, [])
        numbers = Counter(row["seq"] for row in rows)
        twice = [number for number, count in numbers.items() if count > 1]
        if twice:
            yield f"{session.label}: numbers {twice[:5]} were given twice"
        last = tables.sessions[session.id]["last_seq"] if session.id in tables.sessions else 0
        if numbers and (max(numbers) > last or min(numbers) < 1):
            yield f"{session.label}: numbers {min(numbers)}-{max(numbers)}, the last one given is {last}"


def one_person_registers_once(tables: Tables, programme: Programme) -> Iterator[str]:
    """S5: nobody is live twice in a session with one name and one contact (nobody said « une autre »)."""
    for session in programme.sessions:
        live = Counter(
            (row["name"], row["email"], row["mobile"])
            for row in tables.of_session.get(session.id, ())
            if row["status"] in LIVE
        )
        yield from (f"{session.label}: {who} is registered {n} times" for who, n in live.items() if n > 1)


def histories_are_possible(tables: Tables, programme: Programme) -> Iterator[str]:
    """S3: each step follows from the one before, and the last one is where the person is now."""
    for id_, row in tables.registrations.items():
        history = tables.history.get(id_, [])
        before: str | None = None
        for step in history:
            if step.status != before and step.status not in FOLLOWS.get(before, ()):
                yield f"{id_}: {before} became {step.status} ({step.cause}, version {step.version})"
            before = step.status
        if row["status"] != before:
            yield f"{id_} is {row['status']}, and was last told of {before}"
        versions = [step.version for step in history]
        if len(set(versions)) != len(versions) or (versions and max(versions) > row["version"]):
            yield f"{id_}: versions {versions} of a row at {row['version']}"


def offers_that_are_over_are_recorded(tables: Tables, programme: Programme) -> Iterator[str]:
    """S3: an unanswered offer passes on, and never before its end."""
    for id_, row in tables.registrations.items():
        if row["status"] == "offered" and row["offer_expires_at"] <= tables.now:
            yield f"{id_} is offered a seat until {row['offer_expires_at']}, it is {tables.now}"


def the_cancelled_session_has_nobody_left(tables: Tables, programme: Programme) -> Iterator[str]:
    """S3: everybody of a cancelled session has been told."""
    for session in programme.sessions:
        if session.state.status == "cancelled":
            left = [row["id"] for row in tables.of_session.get(session.id, ()) if row["status"] in LIVE]
            if left:
                yield f"{session.label}: {len(left)} people are still there, {left[0]} for one"


def plans_have_arrived(tables: Tables, programme: Programme) -> Iterator[str]:
    """The service knows each session as it was last said."""
    for session in programme.sessions:
        row = tables.sessions.get(session.id)
        if row is None or row["version"] != session.version or row["status"] != session.state.status:
            yield f"{session.label}: known at {row and row['version']}, said at {session.version}"


def seats_were_taken_in_order(tables: Tables, programme: Programme) -> Iterator[str]:
    """S2, S4: whoever got a seat at a moment stood before everybody of their kind and channel who waited.

    People that staff moved, preferred, granted a seat or transferred are left out.
    """
    for session in programme.sessions:
        classes: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in tables.of_session.get(session.id, ()):
            if str(row["id"]) not in tables.touched:
                classes[row["seat_kind"], row["channel"]].append(row)
        for (kind, channel), rows in classes.items():
            yield from _overtaken(tables, rows, f"{session.label} {kind} {channel}")


def _overtaken(tables: Tables, rows: list[Row], where: str) -> Iterator[str]:
    """From the last number to the first: an earlier one who still waited when a later one got a seat."""
    earliest: tuple[datetime, int] | None = None
    for row in reversed(rows):
        history = tables.history.get(str(row["id"]), [])
        left = next((step.at for step in history if step.status != "waitlisted"), None)
        waited = bool(history) and history[0].status == "waitlisted"
        if waited and earliest is not None and (left is None or earliest[0] < left):
            at, number = earliest
            yield f"{where}: number {number} got a seat at {at}, number {row['seq']} waited until {left}"
        got = next((step.at for step in history if step.status in {"offered", "confirmed"}), None)
        if got is not None and (earliest is None or got < earliest[0]):
            earliest = got, row["seq"]


def places_were_said_right(tables: Tables, programme: Programme) -> Iterator[str]:
    """S4: the place that somebody was told on arrival is one more than those who waited at that moment."""
    for session in programme.sessions:
        for kind in session.kinds:
            joins: list[tuple[datetime, int, int | None]] = []
            leaves: list[datetime] = []
            for row in tables.of_session.get(session.id, ()):
                history = tables.history.get(str(row["id"]), [])
                if row["seat_kind"] == kind and history and history[0].status == "waitlisted":
                    joins.append((history[0].at, row["seq"], history[0].position))
                    leaves += [step.at for step in history if step.status != "waitlisted"][:1]
            yield from _misplaced(sorted(joins), sorted(leaves), f"{session.label} {kind}")


def _misplaced(
    joins: list[tuple[datetime, int, int | None]], leaves: list[datetime], label: str
) -> Iterator[str]:
    before = same = 0
    for index, (at, number, position) in enumerate(joins):
        while before < len(leaves) and leaves[before] < at:
            before += 1
        same = max(same, before)
        while same < len(leaves) and leaves[same] <= at:
            same += 1
        # Whoever left at the very same moment may have left just before or just after.
        fewest, most = index - same, index - before
        if position is None or not fewest + 1 <= position <= most + 1:
            yield f"{label}: number {number} was told place {position}, {fewest} to {most} waited before"


def everything_is_said(tables: Tables, programme: Programme) -> Iterator[str]:
    """The log's newest message about each registration says what its row says, and every cause."""
    if tables.waiting_to_be_said:
        yield f"{tables.waiting_to_be_said} messages are still in the outbox"
    if tables.parked:
        yield f"{tables.parked} messages were parked"
    for id_ in tables.said.keys() - tables.registrations.keys():
        yield f"{id_} was announced and has no row"
    for id_, row in tables.registrations.items():
        said = tables.said.get(id_)
        if said is None:
            yield f"{id_} was never announced"
            continue
        if said.version != row["version"]:
            yield f"{id_} was announced at version {said.version}, its row is at {row['version']}"
        wrong = [
            name
            for name in ("status", "channel", "seat_kind", "name", "generation", "sequence", "uid")
            if said.state[name] != row[name]
        ]
        if wrong:
            yield f"{id_} was announced with another {', '.join(wrong)}"
        caused = {
            (step.epoch, step.version, step.cause)
            for step in tables.history.get(id_, ())
            if step.cause != TRANSFERRED
        }
        if caused != said.causes:
            yield f"{id_}: causes {sorted(caused ^ said.causes)} differ between the row and the log"


def the_compacted_log_is_the_state(tables: Tables, programme: Programme) -> Iterator[str]:
    """Once compacted, the log holds one message about each thing, and it is the newest."""
    if not tables.compacted:
        return
    for what, keys in (("registration", tables.said), ("seats", tables.seats_said)):
        for key, said in keys.items():
            if said.records != 1:
                yield f"{what} {key}: {said.records} messages are left"
    yield from everything_is_said(tables, programme)
    yield from public_seats_are_the_tables(tables, programme)


def one_version_says_one_thing(tables: Tables, programme: Programme) -> Iterator[str]:
    """S7: a message may be repeated, never changed: each cause reaches its notice once."""
    yield from (f"{found} was said with two contents" for found in tables.two_contents)


def public_seats_are_the_tables(tables: Tables, programme: Programme) -> Iterator[str]:
    """The announced seats of each session are what the rows say."""
    for session in programme.sessions:
        said = tables.seats_said.get(session.id)
        if session.id not in tables.sessions:
            continue
        row = tables.sessions[session.id]
        if row["seats_dirty"] or said is None or said.version != row["seats_version"]:
            yield f"{session.label}: seats said at {said and said.version}, known at {row['seats_version']}"
            continue
        for kind in session.kinds:
            right = seats_of(tables, session.id, kind)
            got = said.state["by_kind"].get(kind, dict.fromkeys(right, 0))
            if got != right:
                yield f"{session.label}: {kind} seats said as {got}, the rows say {right}"


def keys_lead_to_registrations(tables: Tables, programme: Programme) -> Iterator[str]:
    """S5: each kept key has its registration, and what it was answered is how that began."""
    for key in tables.keys:
        history = tables.history.get(str(key["registration_id"]), [])
        first = history[0] if history else None
        if first is None or (key["status"], key["position"]) != (first.status, first.position):
            began = first and (first.status, first.position)
            yield f"{key['key']}: answered {key['status']} {key['position']}, the registration began {began}"


def the_ledger_ends_as_the_rows_are(tables: Tables, programme: Programme) -> Iterator[str]:
    """Each row stands as the last ledger entry about it says, and no entry is missing."""
    for session in programme.sessions:
        last = tables.sessions[session.id]["last_entry"] if session.id in tables.sessions else 0
        entries, highest = tables.ledger_ends.get(session.id, (0, 0))
        if not entries == highest == last:
            yield f"{session.label}: {entries} ledger entries, the highest is {highest}, the last was {last}"
    for id_, row in tables.registrations.items():
        said = tables.ledger.get(row["ledger_ref"])
        if said is None:
            yield f"{id_} is in no ledger entry"
            continue
        told = (said["status"], said["seq"], said["kind"], said.get("pool"), said.get("priority", 0))
        is_ = (row["status"], row["seq"], row["seat_kind"], row["pool_channel"], row["priority"])
        place = said.get("place")
        if told != is_ or (None if place is None else Decimal(place)) != row["place"]:
            yield f"{id_} is {is_}, the ledger says {told}"


def seats_of(tables: Tables, session_id: str, kind: str) -> dict[str, int]:
    """The seats of one kind, counted from rows."""
    pools = [pool for pool in tables.pools.get(session_id, ()) if pool["seat_kind"] == kind]
    rows = [row["status"] for row in tables.of_session.get(session_id, ()) if row["seat_kind"] == kind]
    return {
        "capacity": sum(pool["effective"] for pool in pools),
        "confirmed": sum(status in SEATED for status in rows),
        "offered": rows.count("offered"),
        "held": sum(_free(pool) for pool in pools if pool["channel"]),
        "available": sum(_free(pool) for pool in pools if not pool["channel"]),
        "waitlisted": rows.count("waitlisted"),
    }


CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        counters_count,
        no_pool_is_oversold,
        held_seats_are_held,
        nobody_waits_for_a_free_seat,
        numbers_are_given_once,
        one_person_registers_once,
        histories_are_possible,
        offers_that_are_over_are_recorded,
        the_cancelled_session_has_nobody_left,
        plans_have_arrived,
        seats_were_taken_in_order,
        places_were_said_right,
        everything_is_said,
        the_compacted_log_is_the_state,
        one_version_says_one_thing,
        public_seats_are_the_tables,
        keys_lead_to_registrations,
        the_ledger_ends_as_the_rows_are,
    )
}


def _used(pool: Row) -> int:
    return int(pool["confirmed"] + pool["offered"])


def _free(pool: Row) -> int:
    return int(pool["effective"]) - _used(pool)


def _granted(tables: Tables, session: Planned, kind: str) -> int:
    rows = tables.of_session.get(session.id, ())
    return sum(
        row["granted"] and row["seat_kind"] == kind and row["status"] in (*SEATED, "offered") for row in rows
    )


def _held_now(session: Planned, now: datetime) -> dict[tuple[str, str], int]:
    held = {(item.seat_kind, item.channel): item.seats for item in session.state.held_seats}
    for release in session.state.releases:
        if release.at <= now:
            held[release.seat_kind, release.channel] -= release.seats
    return {key: max(0, seats) for key, seats in held.items()}
