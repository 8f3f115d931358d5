"""What the read model says after messages have come: newest wins, twice is once, gone is gone."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.national import registry
from services.national.housekeeping import forget_unused_texts
from tests.national.conftest import US, Nation
from tests.national.speaking import NOON, Speaker, heartbeat, new_ids


async def test_a_session_and_its_seats_make_one_row_whichever_comes_first(
    nation: Nation, estrie: Speaker
) -> None:
    one, two = new_ids(2)
    await nation.hear(estrie.session(one), estrie.seats(one, confirmed=3, available=9))
    await nation.hear(estrie.seats(two, confirmed=3, available=9), estrie.session(two))
    rows = await nation.rows(
        "select title, confirmed, available, planned, minutes, search, month from session"
    )
    assert len(rows) == 2
    assert rows[0] == rows[1]
    assert rows[0].confirmed == 3
    assert rows[0].minutes == 120
    assert rows[0].search == "reconnaitre les fausses nouvelles bibliotheque eva senecal sherbrooke"
    cell = await nation.one("select * from session_cell")
    assert (cell.sessions, cell.with_seats, cell.planned, cell.confirmed, cell.available) == (2, 2, 24, 6, 18)
    assert (cell.region, cell.theme, cell.minutes) == ("05", "fausses_nouvelles", 240)


async def test_languages_are_counted_apart(nation: Nation, estrie: Speaker) -> None:
    one, two = new_ids(2)
    await nation.hear(estrie.session(one), estrie.session(two, language="en"))
    cells = await nation.rows("select language, sessions from session_cell order by 1")
    assert [tuple(cell) for cell in cells] == [("en", 1), ("fr", 1)]
    await nation.hear(estrie.session(two, language="fr", version=2))
    cells = await nation.rows("select language, sessions from session_cell where sessions <> 0")
    assert [tuple(cell) for cell in cells] == [("fr", 2)]


async def test_words_are_kept_once_and_forgotten_with_the_last_session(
    nation: Nation, estrie: Speaker
) -> None:
    one, two = new_ids(2)
    await nation.hear(estrie.session(one), estrie.session(two))
    (row,) = await nation.rows("select text from search_text")
    assert "eva senecal" in row.text
    await nation.hear(estrie.session(one, gone=True, version=2))
    await forget_unused_texts(nation.database)
    assert len(await nation.rows("select text from search_text")) == 1
    await nation.hear(estrie.session(two, gone=True, version=2))
    await forget_unused_texts(nation.database)
    assert await nation.rows("select text from search_text") == []


async def test_seats_alone_are_in_no_cell(nation: Nation, estrie: Speaker) -> None:
    await nation.hear(estrie.seats(uuid4(), confirmed=3))
    assert await nation.rows("select * from session_cell") == []


async def test_what_is_newer_wins_in_whatever_order_it_comes(nation: Nation, estrie: Speaker) -> None:
    (id_,) = new_ids(1)
    newest = estrie.seats(id_, version=3, confirmed=7)
    await nation.hear(
        estrie.session(id_, version=2, region="16"),
        estrie.session(id_, version=1, region="05"),
        newest,
        estrie.seats(id_, version=2, confirmed=5),
        newest,
    )
    row = await nation.one("select region, confirmed, version, seats_version from session")
    assert row == ("16", 7, 2, 3)
    cell = await nation.one("select region, sessions, confirmed from session_cell where sessions <> 0")
    assert cell == ("16", 1, 7)


async def test_a_new_epoch_is_newer_than_any_version(nation: Nation, estrie: Speaker) -> None:
    (id_,) = new_ids(1)
    async with nation.database.transaction() as session:
        await registry.confirm_epoch(session, US, "estrie", 2)
    await nation.hear(
        estrie.seats(id_, version=90, confirmed=9),
        estrie.seats(id_, epoch=2, version=1, confirmed=1),
        estrie.seats(id_, version=91, confirmed=10),
    )
    assert (await nation.one("select confirmed from session")).confirmed == 1


async def test_a_valid_message_sent_again_changes_nothing(nation: Nation, estrie: Speaker) -> None:
    one, two = new_ids(2)
    said = [
        estrie.session(one),
        estrie.session(one, version=2, theme="courriel"),
        estrie.session(two),
        estrie.session(two, version=2, gone=True),
        estrie.seats(one, confirmed=3),
        estrie.seats(one, version=2, confirmed=4),
        estrie.tally(),
        estrie.tally(version=2, walk_ins=3),
        estrie.profile(),
        estrie.heartbeat(),
    ]
    await nation.hear(*said)
    before = await nation.state()
    for message in said:
        await nation.hear(message)
    await nation.hear(*reversed(said))
    assert await nation.state() == before
    assert await nation.doubted() == []


async def test_what_is_gone_leaves_the_figures_and_does_not_come_back(
    nation: Nation, estrie: Speaker
) -> None:
    (id_,) = new_ids(1)
    facts, seats = estrie.session(id_), estrie.seats(id_, confirmed=3)
    counts, people = estrie.tally(), estrie.profile()
    await nation.hear(facts, seats, counts, people)
    pulse = await nation.one("select sessions, seats, tallies from pulse")
    assert pulse == (1, 1, 2)
    await nation.hear(
        estrie.session(id_, version=2, gone=True),
        estrie.seats(id_, version=2, gone=True),
        estrie.tally(version=2, gone=True),
        estrie.profile(version=2, gone=True),
    )
    await nation.hear(facts, seats, counts, people)
    state = await nation.state()
    assert [state[table] for table in ("session", "session_cell", "tally", "profile")] == [[], [], [], []]
    assert await nation.one("select sessions, seats, tallies from pulse") == (0, 0, 0)
    await nation.hear(estrie.session(id_, version=3))
    assert (await nation.one("select sessions from session_cell where sessions <> 0")).sessions == 1


async def test_a_tombstone_that_comes_first_keeps_its_state_out(nation: Nation, estrie: Speaker) -> None:
    (id_,) = new_ids(1)
    await nation.hear(estrie.seats(id_, version=2, gone=True), estrie.session(id_, version=2, gone=True))
    await nation.hear(estrie.seats(id_), estrie.session(id_))
    assert await nation.rows("select * from session") == []


async def test_counts_replace_those_of_the_same_cell(nation: Nation, estrie: Speaker) -> None:
    await nation.hear(
        estrie.tally(registrations={"attended": 1}),
        estrie.tally(channel="phone", registrations={"attended": 2}),
        estrie.tally(version=2, registrations={"attended": 5, "a_newer_state": 1}),
        estrie.profile(rounded=10),
        estrie.profile(version=2, rounded=15),
    )
    rows = await nation.rows("select channel, registrations from tally order by channel")
    assert [tuple(row) for row in rows] == [
        ("phone", {"attended": 2}),
        ("web", {"attended": 5, "a_newer_state": 1}),
    ]
    assert (await nation.one("select rounded from profile")).rounded == 15


async def test_an_instance_was_last_heard_when_it_said_the_newest_thing(
    nation: Nation, estrie: Speaker
) -> None:
    """Not when its backlog came; and never later than now, however fast its clock runs."""
    await nation.hear(
        estrie.heartbeat(time=NOON, lag=4), estrie.session(uuid4(), time=NOON + timedelta(hours=1))
    )
    row = await nation.one("select received_at, lag, name, shares from pulse")
    assert row.received_at == NOON + timedelta(hours=1)
    assert (row.lag, row.name, row.shares) == (4, "Estrie", {"public": "counts", "pro": "nothing"})
    await nation.hear(estrie.heartbeat(time=datetime(2099, 1, 1, tzinfo=UTC)))
    row = await nation.one("select received_at, clock.decision_time() as now from pulse")
    assert row.received_at <= row.now


async def test_calendar_identities_are_kept_as_the_instance_says_them(
    nation: Nation, estrie: Speaker
) -> None:
    await nation.hear(estrie.session(uuid4()), estrie.heartbeat())
    assert (await nation.one("select sequence, calendar_domain from session, pulse")) == (None, None)
    await nation.hear(estrie.session(uuid4(), sequence=4), estrie.heartbeat(calendar_domain="agenda.example"))
    assert (await nation.one("select max(sequence), max(calendar_domain) from session, pulse")) == (
        4,
        "agenda.example",
    )


@pytest.mark.parametrize("domain", ["", "agenda.example\r\nATTENDEE:x", "a@b"])
async def test_what_can_be_no_calendar_domain_is_not_believed(
    nation: Nation, estrie: Speaker, domain: str
) -> None:
    said = heartbeat("estrie").model_copy(update={"calendar_domain": domain})
    await nation.hear(estrie.say("heartbeat", "estrie", said))
    assert (await nation.one("select reason, detail from quarantined")).reason == "malformed"
    assert await nation.rows("select 1 from pulse where calendar_domain is not null") == []


async def test_ids_that_nobody_here_knows_are_kept(nation: Nation, estrie: Speaker) -> None:
    await nation.hear(estrie.session(uuid4(), theme="quantique", region="CA-YT", kind="hackathon"))
    row = await nation.one("select theme, region, kind from session")
    assert row == ("quantique", "CA-YT", "hackathon")
