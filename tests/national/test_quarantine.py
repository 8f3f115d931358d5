"""What is doubted: kept as it came, no trace in the figures, and applied once the registry knows better."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from libs.messaging.bus import Message
from libs.messaging.signing import Signer, new_secret
from services.national import registry
from services.national.believing import Reason, Region
from services.national.registry import BEFORE_ALL
from services.national.replaying import replay
from tests.national.conftest import US, Nation
from tests.national.speaking import NOON, Speaker, new_ids, with_headers, with_value


async def test_every_reason_keeps_a_message_out_of_the_figures(nation: Nation) -> None:
    estrie = await nation.register(Speaker("estrie"), Region("05", date(2000, 1, 1)))
    laval = await nation.register(Speaker("laval"))
    stranger = Speaker("gaspesie")
    theirs, free = new_ids(2)
    await nation.hear(laval.session(theirs), estrie.session(free))
    before = await nation.state()
    async with nation.database.transaction() as session:
        await registry.register(session, US, "cotenord", "Côte-Nord")
        await registry.suspend(session, US, "cotenord")
    lies: list[tuple[Reason, Message]] = [
        (Reason.UNKNOWN_INSTANCE, stranger.session(uuid4())),
        (Reason.SUSPENDED_INSTANCE, Speaker("cotenord").session(uuid4())),
        (Reason.UNSIGNED, with_headers(estrie.session(free, version=2, title="Faux"), signature=None)),
        (Reason.BAD_SIGNATURE, replace(estrie.session(free, version=2), value=b"{}")),
        (Reason.WRONG_SOURCE, estrie.session(uuid4(), source="laval")),
        (Reason.UNKNOWN_KEY, estrie.session(free, version=2, signer=stranger.signer)),
        (Reason.KEY_NOT_VALID, estrie.session(free, version=2, time=BEFORE_ALL - timedelta(seconds=1))),
        (Reason.UNCONFIRMED_EPOCH, estrie.session(free, epoch=2)),
        (Reason.REGION_NOT_THEIRS, estrie.session(uuid4(), region="13")),
        (Reason.NOT_THEIRS, estrie.session(theirs, version=2, gone=True)),
        (Reason.NOT_THEIRS, estrie.seats(theirs, version=2, confirmed=12)),
        (Reason.MALFORMED, with_value(estrie.session(free, version=2), b"[]", estrie.signer)),
    ]
    # The key's first day is the earliest that there is: an earlier time can't be either.
    expected = [Reason.MALFORMED if reason is Reason.KEY_NOT_VALID else reason for reason, _ in lies]
    await nation.hear(*(message for _, message in lies))
    assert await nation.doubted() == expected
    assert await nation.state() == before
    # Again, and in another order: not one more in quarantine, and nothing in the figures.
    await nation.hear(*(message for _, message in reversed(lies)))
    assert sorted(await nation.doubted()) == sorted(expected)
    assert await nation.state() == before


async def test_a_region_that_lies_changes_nothing_of_anothers(nation: Nation) -> None:
    """It may say of its own what it likes; what another said stays, whatever epoch or version it claims."""
    estrie = await nation.register(Speaker("estrie"), Region("05", date(2000, 1, 1)))
    liar = await nation.register(Speaker("laval"), Region("13", date(2000, 1, 1)))
    ids = new_ids(3)
    await nation.hear(
        *(estrie.session(id_) for id_ in ids),
        *(estrie.seats(id_, confirmed=4) for id_ in ids),
        estrie.tally(),
    )
    honest = await nation.rows("select * from session where instance = 'estrie' order by id")
    counts = await nation.rows("select * from tally where instance = 'estrie'")
    cells = await nation.rows("select * from session_cell where instance = 'estrie'")
    newest: dict[str, Any] = {"version": 2**62, "time": NOON + timedelta(hours=1)}
    for id_ in ids:
        await nation.hear(
            liar.session(id_, region="13", title="À moi", **newest),
            liar.session(id_, gone=True, **newest),
            liar.seats(id_, confirmed=12, **newest),
            liar.seats(id_, gone=True, **newest),
        )
    await nation.hear(liar.tally(**newest), liar.tally(gone=True, **newest), liar.profile(**newest))
    assert await nation.rows("select * from session where instance = 'estrie' order by id") == honest
    assert await nation.rows("select * from tally where instance = 'estrie'") == counts
    assert await nation.rows("select * from session_cell where instance = 'estrie'") == cells
    assert await nation.rows("select * from session where instance = 'laval'") == []


async def test_two_that_say_the_same_session_at_the_same_time_do_not_share_it(nation: Nation) -> None:
    one, two = await nation.register(Speaker("estrie")), await nation.register(Speaker("laval"))
    (id_,) = new_ids(1)
    await nation.hear(one.seats(id_, confirmed=1), two.session(id_), two.seats(id_, confirmed=9))
    assert (await nation.one("select instance, confirmed, title from session")) == ("estrie", 1, None)
    assert await nation.doubted() == ["not-theirs", "not-theirs"]


@pytest.mark.parametrize("size", [1, 3])
async def test_a_message_that_the_database_refuses_goes_into_quarantine_alone(
    nation: Nation, estrie: Speaker, size: int
) -> None:
    """Whatever the judge has not thought of."""
    ids = new_ids(size)
    async with nation.database.transaction() as session:
        await session.execute(sa.text("alter table session add check (title <> 'Unthinkable')"))
    broken = estrie.session(ids[0], title="Unthinkable")
    await nation.hear(broken, *(estrie.session(id_) for id_ in ids[1:]))
    assert (await nation.one("select count(*) from session"))[0] == size - 1
    row = await nation.one("select reason, detail from quarantined")
    assert row.reason == "malformed"
    assert row.detail == "CheckViolationError"
    assert (await nation.one("select position from progress")).position == size


async def test_what_no_text_can_hold_is_kept_all_the_same(nation: Nation, estrie: Speaker) -> None:
    message = estrie.session(uuid4())
    odd = [
        replace(message, key="a\0b"),
        replace(message, key="\ud800"),
        with_headers(message, ce_note="\0\0"),
        replace(message, key="k" * 100_000, value=b"\xff\0" * 1000),
    ]
    await nation.hear(*odd)
    assert await nation.doubted() == ["malformed", "malformed", "bad-signature", "malformed"]
    assert (await nation.one("select count(*) from session"))[0] == 0


async def test_what_an_unknown_instance_said_counts_once_it_is_registered(nation: Nation) -> None:
    estrie = Speaker("estrie")
    one, two = new_ids(2)
    await nation.hear(
        estrie.session(one),
        estrie.session(two),
        estrie.session(two, version=2, gone=True),
        estrie.seats(one, confirmed=2),
        estrie.tally(),
        estrie.heartbeat(),
    )
    assert set(await nation.doubted()) == {"unknown-instance"}
    await nation.register(estrie)
    done = await replay(nation.database)
    assert (done.applied, done.left) == (6, 0)
    assert await nation.doubted() == []
    assert (await nation.one("select id, confirmed from session")) == (one, 2)
    assert (await nation.one("select sessions, seats, tallies from pulse")) == (1, 1, 1)


async def test_a_replay_applies_nothing_older_than_what_is_there(nation: Nation, estrie: Speaker) -> None:
    (id_,) = new_ids(1)
    new = Signer.from_secret(new_secret())
    await nation.hear(estrie.seats(id_, version=2, confirmed=2, signer=new), estrie.seats(id_, version=1))
    await nation.hear(estrie.seats(id_, version=3, confirmed=3))
    async with nation.database.transaction() as session:
        await registry.add_key(session, US, "estrie", new.public_key, BEFORE_ALL)
    done = await replay(nation.database, ["estrie"])
    assert (done.applied, done.left) == (1, 0)
    assert (await nation.one("select confirmed, seats_version from session")) == (3, 3)


async def test_a_replay_says_the_newest_reason_and_keeps_what_is_still_doubted(nation: Nation) -> None:
    estrie = Speaker("estrie")
    await nation.hear(estrie.session(uuid4(), epoch=2), estrie.session(uuid4()))
    await nation.register(estrie)
    done = await replay(nation.database)
    assert (done.applied, done.left) == (1, 1)
    assert await nation.doubted() == ["unconfirmed-epoch"]
    async with nation.database.transaction() as session:
        await registry.confirm_epoch(session, US, "estrie", 2)
    done = await replay(nation.database)
    assert (done.applied, done.left) == (1, 0)
    assert (await nation.one("select sessions from pulse")).sessions == 2


async def test_a_replay_concerns_only_those_named(nation: Nation) -> None:
    one, two = Speaker("estrie"), Speaker("laval")
    await nation.hear(one.session(uuid4()), two.session(uuid4()))
    await nation.register(one)
    await nation.register(two)
    assert (await replay(nation.database, ["laval"])).applied == 1
    assert await nation.doubted() == ["unknown-instance"]


async def test_a_session_that_a_liar_said_first_can_be_given_back(nation: Nation) -> None:
    owner, liar = await nation.register(Speaker("estrie")), await nation.register(Speaker("laval"))
    (id_,) = new_ids(1)
    await nation.hear(liar.session(id_, region="13", version=99), liar.seats(id_, confirmed=12, version=99))
    await nation.hear(owner.session(id_), owner.seats(id_, confirmed=1))
    async with nation.database.transaction() as session:
        await registry.give_session(session, US, "estrie", id_)
    assert await nation.rows("select * from session") == []
    await replay(nation.database)
    assert (await nation.one("select instance, region, confirmed from session")) == ("estrie", "05", 1)
    cell = await nation.one("select instance, sessions, confirmed from session_cell where sessions <> 0")
    assert cell == ("estrie", 1, 1)
    await nation.hear(liar.session(id_, region="13", version=100))
    assert await nation.doubted() == ["not-theirs"]
    pulses = await nation.rows("select instance, sessions, seats from pulse order by instance")
    assert [tuple(row) for row in pulses] == [("estrie", 1, 1), ("laval", 0, 0)]


async def test_the_quarantine_is_listed_counted_and_replayed_by_staff(nation: Nation, client: Any) -> None:
    estrie = Speaker("estrie")
    messages = [estrie.session(uuid4()) for _ in range(3)]
    await nation.hear(*messages, estrie.heartbeat())
    page = (await client.get("/api/national/v1/quarantine?limit=3")).json()
    assert [item["reason"] for item in page["items"]] == ["unknown-instance"] * 3
    assert page["items"][0]["headers"]["ce_subject"] == messages[0].key
    counted = [(one["instance"], one["reason"], one["count"]) for one in page["counts"]]
    assert counted == [("estrie", "unknown-instance", 4)]
    rest = (await client.get("/api/national/v1/quarantine", params={"cursor": page["next"]})).json()
    assert [item["topic"] for item in rest["items"]] == ["estrie.federated.heartbeat"]
    await nation.register(estrie)
    done = await client.post("/api/national/v1/quarantine/replay", json={})
    assert done.json() == {"applied": 4, "left": 0}
    assert (await client.get("/api/national/v1/quarantine")).json()["counts"] == []
