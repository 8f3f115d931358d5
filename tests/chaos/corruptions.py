"""Ways to break each rule behind the back of everything that guards it: the checks must see every one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.chaos.journal import Asked, Request
from tests.chaos.programme import Programme
from tests.chaos.promises import Heard
from tests.chaos.tables import Tables

UNGUARDED = """
set local session_replication_role = replica;
do $$ declare guard record; begin
    for guard in select conname, conrelid::regclass as guarded from pg_constraint
        where conrelid in ('registration'::regclass, 'seat_pool'::regclass, 'session'::regclass)
            and contype in ('c', 'u')
    loop execute format('alter table %s drop constraint %I', guard.guarded, guard.conname); end loop;
end $$;
"""
"""No trigger, no CHECK, no UNIQUE: what a restored backup or a hand in the database could leave behind."""

Lie = Callable[[Heard, Tables, Programme], Heard]


@dataclass(frozen=True, slots=True)
class Corruption:
    """What is done to the service's tables, to the log or to what the clients heard; `check` must see it.

    Each SQL statement ends in `returning` and has to find at least one row.
    """

    check: str
    what: str
    service: str = ""
    bus: str = ""
    lie: Lie | None = None

    @property
    def service_sql(self) -> str:
        return UNGUARDED + must_touch(self.service) if self.service else ""

    @property
    def bus_sql(self) -> str:
        return must_touch(self.bus) if self.bus else ""


def must_touch(statement: str) -> str:
    """Run it, and fail when it touches nothing: a corruption that isn't one proves nothing."""
    return f"do $$ begin {statement}; if not found then raise 'nothing to corrupt'; end if; end $$;"


def _lie(fate: Callable[[Asked], Asked], *kinds: str, **wanted: object) -> Lie:
    """Change what was heard of the first request of these kinds that was answered as `wanted`."""

    def tell(heard: Heard, tables: Tables, programme: Programme) -> Heard:
        asked = list(heard.asked)
        index = next(
            number
            for number, each in enumerate(asked)
            if each.request.kind in kinds
            and all(getattr(each, name) == value for name, value in wanted.items())
        )
        asked[index] = fate(asked[index])
        return Heard(asked, [])

    return tell


def _another_answer(heard: Heard, tables: Tables, programme: Programme) -> Heard:
    """A repeat of somebody's key was answered with another registration."""
    one, other = [asked for asked in heard.registers if asked.request.kind == "register" and asked.done][:2]
    again = replace(one, request=replace(one.request, id="again"), answer=other.answer)
    return Heard([*heard.asked, again], [])


def _not_over(heard: Heard, tables: Tables, programme: Programme) -> Heard:
    """A confirmed person was told that their registration is over."""
    id_ = next(id_ for id_, row in tables.registrations.items() if row["status"] == "confirmed")
    request = Request("lie", "cancel", "DELETE", "/", registration=id_, sent=1.0)
    return Heard([*heard.asked, Asked(request, 409, 2.0, slug="already-over")], [])


def _unlimited_is_full(heard: Heard, tables: Tables, programme: Programme) -> Heard:
    """Somebody was told that a session is full where anybody may wait."""
    session = next(session for session in programme.sessions if session.label == "two seats")
    body = {"name": "Personne"}
    request = Request("lie", "register", "POST", "/", session=session.id, body=body, sent=1.0)
    return Heard([*heard.asked, Asked(request, 409, 2.0, slug="session-full")], [])


_ANY = "select id from registration"
_ONE_PAIR = """
select a.id as first, b.id as second, b.seq as seq, b.name as name, b.email as email, b.mobile as mobile
from registration a join registration b using (session_id)
where a.id <> b.id and a.status = 'confirmed' and b.status = 'confirmed' limit 1
"""
_WAITING = """
select w.id from registration w where w.status = 'waitlisted' and exists (select from registration o
    where o.session_id = w.session_id and o.seat_kind = w.seat_kind and o.channel = w.channel
    and o.status in ('confirmed', 'offered'))
"""

CORRUPTIONS = (
    Corruption(
        "counters_count",
        "a counter is one too high",
        service="update seat_pool set confirmed = confirmed + 1 where channel = ''",
    ),
    Corruption(
        "counters_count",
        "a registration moved to another pool",
        service="update registration set pool_channel = 'partner'"
        f" where id = ({_ANY} where status = 'confirmed' limit 1)",
    ),
    Corruption(
        "no_pool_is_oversold",
        "fewer seats than people in them",
        service="update seat_pool set effective = confirmed + offered - 1 where confirmed > 0",
    ),
    Corruption(
        "no_pool_is_oversold",
        "a seat that nobody planned",
        service="update seat_pool set effective = effective + 1 where channel = ''",
    ),
    Corruption(
        "held_seats_are_held",
        "more held than the plan holds",
        service="update seat_pool set effective = effective + 9 where channel <> ''",
    ),
    Corruption(
        "nobody_waits_for_a_free_seat",
        "a seat came free and nobody was asked",
        service="update seat_pool p set effective = effective + 1 where channel = '' and exists ("
        "select from registration r where r.session_id = p.session_id and r.seat_kind = p.seat_kind"
        " and r.status = 'waitlisted')",
    ),
    Corruption(
        "numbers_are_given_once",
        "two people with one number",
        service=f"update registration r set seq = pair.seq from ({_ONE_PAIR}) pair where r.id = pair.first",
    ),
    Corruption(
        "numbers_are_given_once",
        "a number that was never given",
        service="update session set last_seq = 0 where last_seq > 0",
    ),
    Corruption(
        "one_person_registers_once",
        "somebody is there twice",
        service="update registration r set name = pair.name, email = pair.email, mobile = pair.mobile"
        f" from ({_ONE_PAIR}) pair where r.id = pair.first",
    ),
    Corruption(
        "histories_are_possible",
        "a person dropped without a word",
        service="update registration set status = 'cancelled', pool_channel = null"
        f" where id = ({_ANY} where status = 'confirmed' limit 1)",
    ),
    Corruption(
        "histories_are_possible",
        "somebody comes back from the dead",
        service='update registration_cause set body = body::jsonb || \'{"status": "cancelled"}\''
        " where version = 1",
    ),
    Corruption(
        "offers_that_are_over_are_recorded",
        "an offer that nobody ended",
        service="update registration set status = 'offered', offer_expires_at = now() - interval '1 hour'"
        f" where id = ({_ANY} where status = 'confirmed' limit 1)",
    ),
    Corruption(
        "the_cancelled_session_has_nobody_left",
        "somebody still waits for a cancelled session",
        service="update registration set status = 'waitlisted', pool_channel = null where id = (select r.id"
        " from registration r join session s on s.id = r.session_id where s.status = 'cancelled' limit 1)",
    ),
    Corruption(
        "plans_have_arrived",
        "a plan was missed",
        service="update session set version = version - 1 where status = 'published'",
    ),
    Corruption(
        "seats_were_taken_in_order",
        "somebody was passed over",
        service=f"update registration set seq = -1 where id in ({_WAITING})",
    ),
    Corruption(
        "places_were_said_right",
        "somebody was told another place",
        service="update registration_cause set body = body::jsonb || '{\"position\": 4000}'"
        " where version = 1 and body->>'status' = 'waitlisted'",
    ),
    Corruption(
        "everything_is_said",
        "a message was lost",
        bus="delete from bus.log_registrations where key = (select key from bus.log_registrations limit 1)",
    ),
    Corruption(
        "everything_is_said",
        "a change that was not announced",
        service="update registration set version = version + 1",
    ),
    Corruption(
        "everything_is_said",
        "a cause that was not announced",
        service="delete from registration_cause where version = 1",
    ),
    Corruption(
        "the_compacted_log_is_the_state",
        "two messages are left about somebody",
        bus="insert into bus.log_registrations (partition, position, key, partition_key, value, headers)"
        " select partition, 10000000, key, partition_key, value,"
        ' (headers::jsonb || \'{"ce_version": "0"}\')::text from bus.log_registrations limit 1',
    ),
    Corruption(
        "the_compacted_log_is_the_state",
        "the older one was kept",
        bus='update bus.log_registrations set headers = (headers::jsonb || \'{"ce_version": "0"}\')::text',
    ),
    Corruption(
        "one_version_says_one_thing",
        "one version with two contents",
        bus="insert into bus.log_registrations (partition, position, key, partition_key, value, headers)"
        " select partition, 10000000, key, partition_key, value || ' '::bytea, headers"
        " from bus.log_registrations limit 1",
    ),
    Corruption(
        "public_seats_are_the_tables",
        "the public was told of more people",
        bus="update bus.log_seats set value = convert_to(replace(convert_from(value, 'utf8'),"
        " '\"confirmed\":', '\"confirmed\":1'), 'utf8')",
    ),
    Corruption(
        "public_seats_are_the_tables",
        "the public was told nothing of the last change",
        service="update session set seats_version = seats_version + 1",
    ),
    Corruption(
        "keys_lead_to_registrations",
        "a key answers something else",
        service="update idempotency_key set position = 4000",
    ),
    Corruption(
        "the_ledger_ends_as_the_rows_are",
        "somebody stands elsewhere than was decided",
        service="update registration set priority = 9",
    ),
    Corruption(
        "the_ledger_ends_as_the_rows_are",
        "a decision was taken out",
        service="delete from seat_ledger where entry = 2",
    ),
    Corruption(
        "registrations_exist_as_answered",
        "a registration that was answered is gone",
        service=f"delete from registration where id = ({_ANY} where status = 'confirmed' limit 1)",
    ),
    Corruption(
        "registrations_exist_as_answered",
        "somebody got another number",
        service="update registration set confirmation_number = 'ZZZZ' || seq",
    ),
    Corruption(
        "nobody_is_there_unasked",
        # More often than anybody can have asked, whose row it may be.
        "a registration was made again and again",
        service="insert into registration select (jsonb_populate_record(r, jsonb_build_object("
        "'id', gen_random_uuid(), 'seq', 4000000 + n, 'confirmation_number', 'ZZZZ' || n))).*"
        " from registration r, generate_series(1, 50) n where r.id = (select id from registration limit 1)",
    ),
    Corruption(
        "actions_took_effect",
        "those who left are back",
        service="update registration set status = 'waitlisted' where status = 'cancelled'",
    ),
    Corruption(
        "nothing_goes_back",
        "a confirmed person waits again",
        service="update registration set status = 'waitlisted', pool_channel = null"
        " where status = 'confirmed'",
    ),
    Corruption(
        "every_change_was_asked_for",
        "the end of everybody's registration, in all due form",
        service="insert into registration_cause (registration_id, epoch, version, cause, at, body)"
        " select registration_id, epoch, 4000, 'cancelled_by_person', at,"
        ' body::jsonb || \'{"status": "cancelled", "version": 4000}\''
        " from registration_cause where version = 1",
    ),
    Corruption(
        "numbers_follow_the_clock",
        "whoever came first has a late number",
        service="update registration set seq = 4000000 - seq",
    ),
    Corruption(
        "staff_actions_are_logged",
        "somebody was preferred, and no log says so",
        service="delete from staff_action",
    ),
    Corruption(
        "staff_actions_are_logged",
        "a log of what nobody asked for",
        service="insert into staff_action (registration_id, action, reason, by, at)"
        " select registration_id, 'prioritised', reason, by, at from staff_action, generate_series(1, 50)",
    ),
    Corruption("one_key_gives_one_registration", "a repeat got another answer", lie=_another_answer),
    Corruption(
        "answers_were_right_by_themselves",
        "an error of the service",
        lie=_lie(lambda asked: replace(asked, status=500), "show"),
    ),
    Corruption(
        "answers_were_right_by_themselves",
        "no answer at all",
        lie=_lie(lambda asked: replace(asked, status=None), "show"),
    ),
    Corruption("refusals_were_right", "full, where anybody may wait", lie=_unlimited_is_full),
    Corruption(
        "refusals_were_right",
        "refused for no reason that there is",
        lie=_lie(lambda asked: replace(asked, status=422, slug="malformed"), "register"),
    ),
    Corruption("refused_actions_had_ended", "over, and still confirmed", lie=_not_over),
)
