"""The statements of the lane, in plain SQL: a handful for a batch, however many requests it holds."""

LOCK = "select from session where id = any($1::uuid[]) order by id for no key update"
FACTS = "select id, facts, online_url from session where id = any($1::uuid[])"

# Everything that the decisions rest on, in one statement and so in one snapshot: the moment, the sessions
# with their pools, and of the requests ($2) what their keys were used for and who is registered alike.
#
# Who is alike is looked for between a pair and itself: only the index that begins with the name can do that.
# Asked with two equations, a plan made while the table is small may take the index of the line instead, and
# read a whole session for each request for as long as it lives (10 ms a batch at 20,000 people, not 0.2).
READ = """
select json_build_object(
    'now', clock.decision_time(),
    'epoch', (select epoch from epoch),
    'sessions', (
        select json_agg(json_build_object(
            'id', id,
            'newness', json_build_array(epoch, version, access_epoch, access_version),
            'last_seq', last_seq,
            'last_entry', last_entry,
            'draw_stage', draw_stage,
            'due', coalesce(least(next_release_at, joins_at) <= clock.decision_time(), false),
            'pools', (
                select json_agg(
                    json_build_array(seat_kind, channel, effective, confirmed, offered, waiting, granted,
                        gathering)
                ) from seat_pool where session_id = session.id
            )
        )) from session where id = any($1::uuid[]) and facts is not null
    ),
    'earlier', (
        select json_agg(json_build_object('number', number, 'alike', coalesce(alike, false), 'key', earlier))
        from json_to_recordset($2::json) as ask (number int, session_id uuid, name_key text, email text,
            mobile text, phone text, postal text, scope text, key text)
        left join lateral (
            select registration_id, body_hash, status, position from idempotency_key
            where scope = ask.scope and key = ask.key
        ) as earlier on true
        left join lateral (
            select true as alike from registration
            where (name_key, session_id) >= (ask.name_key, ask.session_id)
                and (name_key, session_id) <= (ask.name_key, ask.session_id)
                and status in ('pending', 'waitlisted', 'offered', 'confirmed')
                and (lower(email) = ask.email or mobile = ask.mobile or phone = ask.phone
                    or postal = ask.postal)
            limit 1
        ) as other on true
        where earlier.registration_id is not null or alike
    )
)
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
    and (-other.priority, coalesce(other.place, other.draw_rank, other.seq), other.seq)
        <= (-person.priority, coalesce(person.place, person.draw_rank, person.seq), person.seq)
"""

# Rows come as JSON, which costs the process that sends them a tenth of what arrays do; a message as it is.
#
# Nothing is written unless every session is as it was read ($9): any decision about its seats would have
# raised `last_entry`, another version of its facts or of its room link their numbers. The sessions are
# locked in the order of their ids; one that changed while we waited for it no longer matches.
WRITE = """
with come as materialized (
    select * from json_to_recordset($9::json) as come (id uuid, last_seq bigint, last_entry bigint,
        was_entry bigint, was_version bigint, was_access_version bigint)
), held as materialized (
    select session.id from session join come on session.id = come.id
    where session.last_entry = was_entry and version = was_version and access_version = was_access_version
    order by session.id for no key update of session
), unchanged as materialized (
    select (select count(*) from held) = (select count(*) from come) as all_of_them
), people as (
    insert into registration (id, session_id, status, seat_kind, pool_channel, channel, name, name_key,
        language, email, mobile, phone, postal, organisation, role, target_groups, confirmation_number, seq,
        ledger_ref, uid, invited, content_hash, created_at, confirmed_at, party_size, seats, gather_until,
        generation, sequence, version, reminded, by_hand)
    select id, session_id, status, seat_kind, pool_channel, channel, name, name_key, language, email, mobile,
        phone, postal, organisation, role, target_groups, confirmation_number, seq, ledger_ref, uid,
        status = 'confirmed', content_hash, $1::timestamptz,
        case when status = 'confirmed' then $1::timestamptz end, party_size, seats, gather_until,
        1, 0, 1, '[]', by_hand
    from json_to_recordset($3::json) as person (id uuid, session_id uuid, status text, seat_kind text,
        pool_channel text, channel text, name text, name_key text, language text, email text, mobile text,
        phone text, postal text, organisation text, role text, target_groups jsonb,
        confirmation_number text, seq bigint, ledger_ref uuid, uid text, content_hash bytea,
        by_hand boolean, party_size int, seats int, gather_until timestamptz)
    where (select all_of_them from unchanged)
), entries as (
    insert into seat_ledger (session_id, entry, at, command, inputs, touched)
    select session_id, entry, $1::timestamptz, command, inputs, touched
    from json_to_recordset($4::json) as entry (session_id uuid, entry bigint, command text, inputs json,
        touched json)
    where (select all_of_them from unchanged)
), causes as (
    insert into registration_cause (registration_id, epoch, version, cause, at, body)
    select registration_id, $2::int, 1, cause, $1::timestamptz, body
    from json_to_recordset($5::json) as cause (registration_id uuid, cause text, body json)
    where (select all_of_them from unchanged)
), messages as (
    insert into outbox (topic, key, partition_key, headers, value)
    select topic, key, partition_key, headers, value
    from rows from (
        json_to_recordset($6::json) as (topic text, key text, partition_key text, headers jsonb),
        unnest($7::bytea[])
    ) as message (topic, key, partition_key, headers, value)
    where (select all_of_them from unchanged)
), keys as (
    insert into idempotency_key (scope, key, body_hash, registration_id, status, position, created_at)
    select scope, key, body_hash, registration_id, status, position, $1::timestamptz
    from json_to_recordset($8::json) as key (scope text, key text, body_hash bytea, registration_id uuid,
        status text, position int)
    where (select all_of_them from unchanged)
), needs as (
    insert into accommodation_request (registration_id, need)
    select registration_id, need from json_to_recordset($10::json) as said (registration_id uuid, need text)
    where (select all_of_them from unchanged)
), consents as (
    insert into consent (registration_id, purpose, wording, channel, given_at)
    select registration_id, purpose, wording, channel, $1::timestamptz
    from json_to_recordset($11::json) as said (registration_id uuid, purpose text, wording text, channel text)
    where (select all_of_them from unchanged)
), sessions as (
    update session set last_seq = come.last_seq, last_entry = come.last_entry, seats_dirty = true,
        reach_dirty = true
    from come where session.id = come.id and (select all_of_them from unchanged)
)
select all_of_them from unchanged
"""
