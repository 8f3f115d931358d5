"""The statements of the lane, in plain SQL: a handful for a batch, however many requests it holds."""

LOCK = """
select id, epoch, version, access_epoch, access_version, last_seq, last_entry
from session where id = any($1::uuid[]) and facts is not null order by id for no key update
"""
FACTS = "select id, facts, online_url from session where id = any($1::uuid[])"

# The first row is the moment: one clock, read after the lock. `due`: seats to release come first.
POOLS = """
with moment as materialized (select clock.decision_time() as now)
select now, (select epoch from epoch), null as session_id, null as seat_kind, null as channel,
    0 as effective, 0 as confirmed, 0 as offered, 0 as waiting, 0 as granted, false as due from moment
union all
select now, 0, session_id, seat_kind, channel, effective, confirmed, offered, waiting, granted,
    coalesce(next_release_at <= now, false)
from moment, session join seat_pool on session_id = id where id = any($1::uuid[])
"""

KNOWN_KEYS_AND_PEOPLE = """
select number, body_hash, registration_id, status, position, coalesce(alike, false) as alike
from json_to_recordset($1::json) as ask (number int, session_id uuid, name_key text, email text, mobile text,
    phone text, postal text, scope text, key text)
left join lateral (
    select body_hash, registration_id, status, position from idempotency_key
    where scope = ask.scope and key = ask.key
) as earlier on true
left join lateral (
    select true as alike from registration
    where session_id = ask.session_id and name_key = ask.name_key
        and status in ('pending', 'waitlisted', 'offered', 'confirmed')
        and (lower(email) = ask.email or mobile = ask.mobile or phone = ask.phone or postal = ask.postal)
    limit 1
) as other on true
where registration_id is not null or alike
"""
REPEATED = """
select id, session_id, content_hash, status, confirmation_number, generation
from registration where id = any($1::uuid[])
"""
ANSWERS = (
    "select id, session_id, confirmation_number, generation from registration where id = any($1::uuid[])"
)
PLACE = """
select count(*) from registration as other join registration as person on person.id = $1
where other.session_id = person.session_id and other.status = 'waitlisted'
    and other.seat_kind = person.seat_kind
    and (-other.priority, coalesce(other.place, other.seq), other.seq)
        <= (-person.priority, coalesce(person.place, person.seq), person.seq)
"""

# Rows come as JSON, which costs the process that sends them a tenth of what arrays do; a message as it is.
WRITE = """
with people as (
    insert into registration (id, session_id, status, seat_kind, pool_channel, channel, name, name_key,
        language, email, mobile, phone, postal, organisation, role, target_groups, confirmation_number, seq,
        ledger_ref, uid, invited, content_hash, created_at, confirmed_at, party_size, generation, sequence,
        version, reminded)
    select id, session_id, status, seat_kind, pool_channel, channel, name, name_key, language, email, mobile,
        phone, postal, organisation, role, target_groups, confirmation_number, seq, ledger_ref, uid,
        status = 'confirmed', content_hash, $1::timestamptz,
        case when status = 'confirmed' then $1::timestamptz end, 1, 1, 0, 1, '[]'
    from json_to_recordset($3::json) as person (id uuid, session_id uuid, status text, seat_kind text,
        pool_channel text, channel text, name text, name_key text, language text, email text, mobile text,
        phone text, postal text, organisation text, role text, target_groups jsonb,
        confirmation_number text, seq bigint, ledger_ref uuid, uid text, content_hash bytea)
), entries as (
    insert into seat_ledger (session_id, entry, at, command, inputs, touched)
    select session_id, entry, $1::timestamptz, command, inputs, touched
    from json_to_recordset($4::json) as entry (session_id uuid, entry bigint, command text, inputs json,
        touched json)
), causes as (
    insert into registration_cause (registration_id, epoch, version, cause, at, body)
    select registration_id, $2::int, 1, cause, $1::timestamptz, body
    from json_to_recordset($5::json) as cause (registration_id uuid, cause text, body json)
), messages as (
    insert into outbox (topic, key, partition_key, headers, value)
    select topic, key, partition_key, headers, value
    from rows from (
        json_to_recordset($6::json) as (topic text, key text, partition_key text, headers jsonb),
        unnest($7::bytea[])
    ) as message (topic, key, partition_key, headers, value)
), keys as (
    insert into idempotency_key (scope, key, body_hash, registration_id, status, position, created_at)
    select scope, key, body_hash, registration_id, status, position, $1::timestamptz
    from json_to_recordset($8::json) as key (scope text, key text, body_hash bytea, registration_id uuid,
        status text, position int)
)
update session set last_seq = come.last_seq, last_entry = come.last_entry, seats_dirty = true,
    reach_dirty = true
from json_to_recordset($9::json) as come (id uuid, last_seq bigint, last_entry bigint)
where session.id = come.id
"""
# What few people say.
WRITE_ANSWERS = """
with needs as (
    insert into accommodation_request (registration_id, need)
    select registration_id, need from json_to_recordset($2::json) as said (registration_id uuid, need text)
)
insert into consent (registration_id, purpose, wording, channel, given_at)
select registration_id, purpose, wording, channel, $1::timestamptz
from json_to_recordset($3::json) as said (registration_id uuid, purpose text, wording text, channel text)
"""
