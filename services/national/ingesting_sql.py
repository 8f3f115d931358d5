"""The statements of the ingest, in plain SQL: a handful for a batch, however many messages it holds.

$1 is the generation and $2 the instance everywhere; rows come as JSON in $3. Each statement that changes
the read model answers with the difference it made to what is here of the instance's sessions, seats and
tallies. They run under `LOCK`: the batches of one instance, of whatever stream, come one after the other.
"""

FACTS = (
    "epoch int, version bigint, status text, title text, stream text, kind text, theme text, level text,"
    " language text, modality text, delivered_by text, region text, month date, starts_at timestamp,"
    " ends_at timestamp, timezone text, starts_at_utc timestamptz, ends_at_utc timestamptz, venue_id uuid,"
    " venue_name text, municipality text, province text, latitude float8, longitude float8,"
    " registration_modes jsonb, url text, opens_at timestamptz, cancelled_at timestamptz,"
    " sequence int, updated_at timestamptz, planned int, minutes int, search text"
)
SEATS = (
    "seats_epoch int, seats_version bigint, capacity int, confirmed int, offered int, held int,"
    " available int, waitlisted int, by_kind jsonb, seats_updated_at timestamptz"
)
_TALLY = (
    "key text, epoch int, version bigint, month date, region text, stream text, theme text, channel text,"
    " modality text, registrations jsonb, confirmed_at_start int, waitlisted_at_start int,"
    " attended_minutes bigint, walk_ins int, walk_in_minutes bigint, offers_made int, offers_accepted int,"
    " answer_minutes jsonb, minutes_from_opening jsonb, as_of timestamptz"
)
_PROFILE = (
    "key text, epoch int, version bigint, month date, region text, stream text, dimension text, value text,"
    " rounded int, as_of timestamptz"
)
_HEARTBEAT = (
    "epoch int, version bigint, name text, url text, calendar_domain text, software text,"
    " sent_at timestamptz, streams jsonb, shares jsonb, lag int"
)
_NO_FACTS = {"epoch": "0", "version": "0", "registration_modes": "'[]'::jsonb", "search": "''"}
_NO_SEATS = {"by_kind": "'{}'::jsonb", "seats_updated_at": "null"}
_SUMS = (
    "sessions", "with_seats", "minutes", "planned", "capacity", "confirmed", "offered", "held", "available",
    "waitlisted",
)  # fmt: skip


def _names(typed: str) -> list[str]:
    return [column.split()[0] for column in typed.split(", ")]


def _listed(names: list[str] | tuple[str, ...], pattern: str = "{}") -> str:
    return ", ".join(pattern.format(name) for name in names)


def _come(typed: str) -> str:
    return f"select * from json_to_recordset($3::json) as come ({typed})"  # noqa: S608  # no value stands in it


_FACT_NAMES, _SEAT_NAMES = _names(FACTS), _names(SEATS)
_FACTS_GONE = [_NO_FACTS.get(name, "null") for name in _FACT_NAMES]
_SEATS_GONE = [_NO_SEATS.get(name, "0") for name in _SEAT_NAMES]

LOCK = "select pg_advisory_xact_lock($1::int, hashtext($2::text))"
# The row is held so that nobody deletes or switches the generation before the batch is committed.
CHECK = """
select (select coalesce(max(id), 0) from registry_entry) as version,
    (select state from generation where number = $1 for key share) as state
"""
READ = """
select json_build_object('now', clock.decision_time(),
    'version', (select coalesce(max(id), 0) from registry_entry),
    'owners', (
        select json_object_agg(session_id, instance) from session_owner where session_id = any($1::uuid[])
    ))
"""
# In one order, so that two instances that claim the same sessions wait for each other, never in a circle.
CLAIM = """
insert into session_owner (session_id, instance)
select id, $2::text from unnest($1::uuid[]) as id order by id on conflict do nothing
"""
OWNERS = "select session_id, instance from session_owner where session_id = any($1::uuid[])"

# What is known of those who come, one by one: `offset 0` keeps the planner from making a join of it. A plan
# made while a table is small would read a whole generation for each batch, for as long as the plan lives.
_KNOWN_SESSION = """
    cross join lateral (
        select session.*, session.ctid from session where generation = $1 and id = come.id offset 0
    ) as kept"""
_KNOWN_CELL = """
    cross join lateral (
        select {table}.*, {table}.ctid from {table}
        where generation = $1 and instance = $2 and key = come.key offset 0
    ) as kept"""

# What the cells are made of: a session as one side of a change.
_SIDE = _listed(
    (
        "kept.id", "kept.title is not null as told", "kept.seats_updated_at is not null as seated",
        "kept.month", "kept.region", "kept.stream", "kept.theme", "kept.modality", "kept.language",
        "kept.status",
        *(f"kept.{name}" for name in _SUMS[2:]),
    )
)  # fmt: skip
# The difference that the change of some sessions makes to their cells: `known` are the rows as they were
# (the statement's snapshot), `changed` as they are. `is true` keeps the planner from making a join of the
# question, which these connections would run as a loop in a loop; so it asks a hash table.
_CELLS = f"""
sides as materialized (
    select 1 as n, changed.* from changed
    union all select -1, known.* from known where (id in (select id from changed)) is true
), moved as materialized (
    select month, coalesce(region, '') as region, stream, coalesce(theme, '') as theme, modality, language,
        status, sum(n) as sessions, coalesce(sum(n) filter (where seated), 0) as with_seats,
        {_listed(_SUMS[2:], "sum(n * {0}::bigint) as {0}")}
    from sides where told group by 1, 2, 3, 4, 5, 6, 7
), cells as (
    insert into session_cell as cell
        (generation, instance, month, region, stream, theme, modality, language, status, {_listed(_SUMS)})
    select $1::int, $2::text, month, region, stream, theme, modality, language, status, {_listed(_SUMS)}
    from moved where {" or ".join(f"{name} <> 0" for name in _SUMS)}
    on conflict (generation, instance, month, region, stream, theme, modality, language, status)
        do update set {_listed(_SUMS, "{0} = cell.{0} + excluded.{0}")}
)
select coalesce(sum(n) filter (where told), 0)::bigint as sessions,
    coalesce(sum(n) filter (where seated), 0)::bigint as seats, 0::bigint as tallies
from sides
"""  # noqa: S608  # no value stands in any of these
_NOT_ERASED = """
not exists (
    select from erased where erased.generation = $1 and erased.instance = $2 and erased.stream = '{stream}'
        and erased.key = come.{key} and (erased.epoch, erased.version) >= (come.{epoch}, come.{version})
)
"""

SESSIONS = f"""
with come as materialized ({_come(f"id uuid, {FACTS}")}
), known as materialized (
    select {_SIDE} from come {_KNOWN_SESSION}
), changed as (
    insert into session as kept (generation, id, instance, {_listed(_FACT_NAMES)}, {_listed(_SEAT_NAMES)})
    select $1::int, id, $2::text, {_listed(_FACT_NAMES)}, {_listed(_SEATS_GONE)} from come
    where {_NOT_ERASED.format(stream="sessions", key="id::text", epoch="epoch", version="version")}
    on conflict (generation, id) do update set {_listed(_FACT_NAMES, "{0} = excluded.{0}")}
        where (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
    returning {_SIDE}
), texts as (
    insert into search_text (text) select distinct search from come order by search on conflict do nothing
), {_CELLS}
"""  # noqa: S608
SEATS_OF_SESSIONS = f"""
with come as materialized ({_come(f"id uuid, {SEATS}")}
), known as materialized (
    select {_SIDE} from come {_KNOWN_SESSION}
), changed as (
    insert into session as kept (generation, id, instance, {_listed(_SEAT_NAMES)}, {_listed(_FACT_NAMES)})
    select $1::int, id, $2::text, {_listed(_SEAT_NAMES)}, {_listed(_FACTS_GONE)} from come
    where {_NOT_ERASED.format(stream="seats", key="id::text", epoch="seats_epoch", version="seats_version")}
    on conflict (generation, id) do update set {_listed(_SEAT_NAMES, "{0} = excluded.{0}")}
        where (excluded.seats_epoch, excluded.seats_version) > (kept.seats_epoch, kept.seats_version)
    returning {_SIDE}
), {_CELLS}
"""  # noqa: S608


def _counts(typed: str, table: str) -> str:
    names = _names(typed)
    return f"""
with come as materialized ({_come(typed)}
), known as materialized (
    select kept.key from come {_KNOWN_CELL.format(table=table)}
), changed as (
    insert into {table} as kept (generation, instance, {_listed(names)})
    select $1::int, $2::text, {_listed(names)} from come
    where {_NOT_ERASED.format(stream="tallies", key="key", epoch="epoch", version="version")}
    on conflict (generation, instance, key) do update set {_listed(names, "{0} = excluded.{0}")}
        where (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
    returning key
)
select 0::bigint as sessions, 0::bigint as seats,
    (select count(*) from changed where key not in (select key from known)) as tallies
"""  # noqa: S608


TALLIES, PROFILES = _counts(_TALLY, "tally"), _counts(_PROFILE, "profile")
HEARTBEAT = f"""
with come as ({_come(_HEARTBEAT)})
insert into pulse as kept (generation, instance, {_listed(_names(_HEARTBEAT))}, received_at, sessions, seats,
    tallies)
select $1::int, $2::text, {_listed(_names(_HEARTBEAT))}, '-infinity', 0, 0, 0 from come
on conflict (generation, instance) do update set {_listed(_names(_HEARTBEAT), "{0} = excluded.{0}")}
    where (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
"""  # noqa: S608

# What is gone. A tombstone as new as the state wins: nobody says less by mistake.
ERASE = """
insert into erased as kept (generation, instance, stream, key, epoch, version, key_id)
select $1::int, $2::text, $4, key, epoch, version, key_id
from json_to_recordset($3::json) as come (key text, epoch int, version bigint, key_id text)
on conflict (generation, instance, stream, key)
    do update set epoch = excluded.epoch, version = excluded.version, key_id = excluded.key_id
    where (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
"""


def _gone(names: list[str], nothing: list[str], prefix: str) -> str:
    cleared = ", ".join(f"{name} = {value}" for name, value in zip(names, nothing, strict=True))
    return f"""
with come as materialized (
    select key::uuid as id, epoch, version
    from json_to_recordset($3::json) as come (key text, epoch int, version bigint)
), known as materialized (
    select {_SIDE} from come {_KNOWN_SESSION}
    where kept.instance = $2 and (come.epoch, come.version) >= ({prefix}epoch, {prefix}version)
), spots as materialized (
    select spot from known cross join lateral (
        select ctid as spot from session where generation = $1 and id = known.id offset 0
    ) as kept
), changed as (
    update session as kept set {cleared} from spots where kept.ctid = spot
    returning {_SIDE}
), {_CELLS}
"""  # noqa: S608


SESSIONS_GONE = _gone(_FACT_NAMES, _FACTS_GONE, "kept.")
SEATS_GONE = _gone(_SEAT_NAMES, _SEATS_GONE, "kept.seats_")
EMPTY_SESSIONS = """
delete from session where generation = $1 and id = any($2::uuid[])
    and title is null and seats_updated_at is null
"""
_COUNTS_GONE = """
with come as materialized (
    select * from json_to_recordset($3::json) as come (key text, epoch int, version bigint)
), gone as (
    delete from {table} as gone using (
        select kept.ctid as spot from come {known}
        where (come.epoch, come.version) >= (kept.epoch, kept.version)
    ) as old where gone.ctid = spot
    returning gone.key
)
select 0::bigint as sessions, 0::bigint as seats, -count(*)::bigint as tallies from gone
"""
TALLIES_GONE = _COUNTS_GONE.format(table="tally", known=_KNOWN_CELL.format(table="tally"))
PROFILES_GONE = _COUNTS_GONE.format(table="profile", known=_KNOWN_CELL.format(table="profile"))

# What every batch ends with. $3: when the newest of what was believed was said; null if nothing was.
PULSE = """
insert into pulse as kept (generation, instance, epoch, version, name, url, software, received_at, streams,
    shares, lag, sessions, seats, tallies)
values ($1, $2, 0, 0, '', '', '', least($3::timestamptz, clock.decision_time()), '{}', '{}', 0, $4, $5, $6)
on conflict (generation, instance) do update set
    received_at = greatest(kept.received_at, excluded.received_at),
    sessions = kept.sessions + excluded.sessions,
    seats = kept.seats + excluded.seats,
    tallies = kept.tallies + excluded.tallies
"""
PROGRESS = """
insert into progress as kept (generation, topic, partition, position) values ($1, $2, $3, $4)
on conflict (generation, topic, partition) do update set position = excluded.position
"""
QUARANTINE = """
insert into quarantined as kept (topic, instance, position, key, headers, value, digest, reason, detail,
    received_at)
select topic, instance, position, key, headers, value, digest, reason, detail, clock.decision_time()
from rows from (
    json_to_recordset($1::json) as (topic text, instance text, position bigint, key text, headers jsonb,
        reason text, detail text),
    unnest($2::bytea[]), unnest($3::bytea[])
) as come (topic, instance, position, key, headers, reason, detail, value, digest)
on conflict (topic, digest) do update set reason = excluded.reason, detail = excluded.detail
    where (kept.reason, kept.detail) <> (excluded.reason, excluded.detail)
"""
