"""The heartbeat says what stands outside, and comes once however many processes there are."""

import asyncio

from libs.messaging.federated import Heartbeat
from services.exporter import heartbeat
from services.exporter.restating import Restating
from tests.exporter.conftest import Region, counts, said, seats_state, session_state


async def newest(region: Region) -> tuple[int, Heartbeat]:
    (_, envelope, payload), *none = await region.out("heartbeat")
    assert none == []
    assert isinstance(payload, Heartbeat)
    assert envelope.subject == "demo"
    return envelope.version, payload


async def test_it_tells_how_much_was_said_and_what_is_shared(region: Region) -> None:
    await region.beat()
    first, empty = await newest(region)
    assert {stream: found.count for stream, found in empty.streams.items()} == {
        "sessions": 0,
        "seats": 0,
        "tallies": 0,
    }
    assert (empty.shares, empty.epoch, empty.lag) == ({"public": "counts", "pro": "counts"}, 1, 0)
    assert (empty.instance, empty.name, empty.url) == ("demo", "Capitale-Nationale", "http://testserver")
    assert empty.calendar_domain == region.settings.uid_domain

    await region.hear(said(session_state(), 3), said(seats_state(), 5), said(counts(), 1), said(counts(4), 2))
    await region.raw()
    await region.beat()

    second, full = await newest(region)
    assert second > first
    assert full.streams["sessions"].count == full.streams["seats"].count == full.streams["tallies"].count == 1
    assert full.streams["seats"].newest_id == f"federated.seats:{session_state().id}:1:5"
    assert str(full.streams["tallies"].newest_id).endswith(":1:2")
    assert full.streams["tallies"].newest_at is not None


async def test_what_was_taken_back_is_not_counted(region: Region) -> None:
    await region.hear(said(session_state(), 1), said(seats_state(), 1))
    await region.decide("nothing")
    await region.raw()
    await region.beat()
    _, beat = await newest(region)
    assert beat.streams["sessions"].count == 0
    assert beat.streams["sessions"].newest_id is not None, "the message that took it back"


async def test_what_is_still_to_be_sent_counts_as_lag(region: Region) -> None:
    await region.hear(said(session_state(), 1), said(counts(), 1))
    async with region.database.transaction() as tx:
        await heartbeat.beat(tx, region.settings, region.voice, unread=40)
    _, beat = await newest(region)
    assert beat.lag == 42


async def test_several_processes_beat_once_in_thirty_seconds(region: Region) -> None:
    async def one() -> None:
        async with region.database.transaction() as tx:
            await heartbeat.beat(tx, region.settings, region.voice, unread=0, only_if_due=True)

    await asyncio.gather(*[one() for _ in range(4)])
    await asyncio.gather(*[one() for _ in range(4)])
    assert len(await region.out("heartbeat")) == 1


async def test_its_epoch_is_the_services_own(region: Region) -> None:
    await region.execute("update epoch set epoch = 2")
    await Restating(region.database, region.voice).look(asyncio.Event())
    await region.beat()
    ((_, envelope, payload),) = await region.out("heartbeat")
    assert isinstance(payload, Heartbeat)
    assert (envelope.epoch, payload.epoch) == (2, 2)
