"""What a restored instance does not say any more leaves, as soon as all that it does say has come."""

from libs.messaging.federated import StreamDeclared
from services.national import registry
from services.national.outdated import leave_behind
from tests.national.conftest import US, Nation
from tests.national.speaking import Speaker, new_ids


def declared(sessions: int, seats: int, tallies: int) -> dict[str, StreamDeclared]:
    counts = {"sessions": sessions, "seats": seats, "tallies": tallies}
    return {name: StreamDeclared(count=count) for name, count in counts.items()}


async def confirm(nation: Nation, estrie: Speaker) -> None:
    async with nation.database.transaction() as session:
        await registry.confirm_epoch(session, US, estrie.slug, 2)


async def test_what_the_backup_knew_nothing_of_goes_once_all_else_has_come(
    nation: Nation, estrie: Speaker
) -> None:
    kept, lost = new_ids(2)
    everything = [
        said for id_ in (kept, lost) for said in (estrie.session(id_), estrie.seats(id_, confirmed=3))
    ]
    await nation.hear(
        *everything, estrie.tally(channel="web"), estrie.tally(channel="phone"), estrie.profile()
    )
    await confirm(nation, estrie)
    await nation.hear(estrie.heartbeat(epoch=2, streams=declared(1, 1, 1)))
    assert await leave_behind(nation.database) == 0, "nothing of the new epoch has come yet"

    await nation.hear(estrie.session(kept, epoch=2), estrie.seats(kept, epoch=2, confirmed=1))
    assert await leave_behind(nation.database) == 0, "a cell of counts is still on its way"
    await nation.hear(estrie.tally(channel="web", epoch=2))
    assert await leave_behind(nation.database) == 4
    assert await leave_behind(nation.database) == 0

    (row,) = await nation.rows("select id, confirmed from session")
    assert (row.id, row.confirmed) == (kept, 1)
    assert [row.channel for row in await nation.rows("select channel from tally")] == ["web"]
    assert await nation.rows("select 1 from profile") == []
    cells = await nation.one("select sum(sessions) as n, sum(confirmed) as confirmed from session_cell")
    assert (cells.n, cells.confirmed) == (1, 1)
    pulse = await nation.one("select sessions, seats, tallies from pulse")
    assert tuple(pulse) == (1, 1, 1)


async def test_a_late_message_of_the_old_epoch_stays_away_and_a_slow_one_of_the_new_is_welcome(
    nation: Nation, estrie: Speaker
) -> None:
    kept, lost = new_ids(2)
    old = estrie.session(lost)
    await nation.hear(estrie.session(kept), old)
    await confirm(nation, estrie)
    await nation.hear(estrie.session(kept, epoch=2), estrie.heartbeat(epoch=2, streams=declared(1, 0, 0)))
    assert await leave_behind(nation.database) == 1
    await nation.hear(old)
    assert [row.id for row in await nation.rows("select id from session")] == [kept]
    await nation.hear(estrie.session(lost, epoch=2))
    assert len(await nation.rows("select id from session")) == 2


async def test_an_instance_that_was_never_restored_is_left_alone(nation: Nation, estrie: Speaker) -> None:
    await nation.hear(estrie.session(new_ids(1)[0]), estrie.heartbeat(streams=declared(0, 0, 0)))
    assert await leave_behind(nation.database) == 0
    assert len(await nation.rows("select id from session")) == 1
