"""What goes out after what was heard: in any order, once, and only as far as the region shares."""

from itertools import permutations
from uuid import UUID

import pytest

from libs.messaging import topics
from libs.messaging.bus import Message
from libs.messaging.federated import FederatedSeats, FederatedSession, FederatedTally
from libs.messaging.federated import cell_key as key_of_cell
from tests.exporter.conftest import (
    SESSION,
    Region,
    counts,
    message,
    profile,
    said,
    seats_state,
    session_state,
)


def erased(topic: topics.Topic, version: int, key: str = str(SESSION)) -> Message:
    return message(topic, key, version, None)


async def test_a_session_and_its_seats_leave_signed_in_the_words_of_the_federation(region: Region) -> None:
    await region.hear(said(session_state(), 4), said(seats_state(), 9))

    (one, facts), (two, seats) = [(item[1], item[2]) for item in await region.out()]
    assert isinstance(facts, FederatedSession)
    assert isinstance(seats, FederatedSeats)
    assert (one.newness, two.newness) == ((1, 4), (1, 9)), "those of what was heard"
    assert one.source == "/tournee/demo/exporter"
    assert one.type == "tournee.federated.sessions.state"
    assert one.id == f"federated.sessions:{SESSION}:1:4"
    assert facts.url == f"http://testserver/seances/{SESSION}"
    assert seats.confirmed == 3


async def test_they_leave_on_the_instances_own_topics(region: Region) -> None:
    await region.hear(said(session_state(), 1), said(counts(), 1))
    names = [one.topic.name for one in await region.raw()]
    assert names == ["demo.federated.sessions", "demo.federated.tallies"]


async def test_seats_that_come_first_wait_for_their_session(region: Region) -> None:
    await region.hear(said(seats_state(confirmed=1), 1))
    await region.hear(said(seats_state(confirmed=2), 2))
    assert await region.out() == []

    await region.hear(said(session_state(), 1))

    (_, _, facts), (_, envelope, seats) = await region.out()
    assert isinstance(facts, FederatedSession)
    assert isinstance(seats, FederatedSeats)
    assert (seats.confirmed, envelope.newness) == (2, (1, 2))


async def test_in_whatever_order_messages_come_the_newest_stands_outside(region: Region) -> None:
    for number, order in enumerate(permutations(range(4)), start=1):
        id_ = UUID(int=number)
        messages = [
            said(session_state(id_, title="Un"), 1),
            said(session_state(id_, title="Deux"), 2),
            said(seats_state(id_, confirmed=1), 1),
            said(seats_state(id_, confirmed=2), 2),
        ]
        for place in order:
            await region.hear(messages[place])
        last = {stream: (envelope.newness, payload) for stream, envelope, payload in await region.out()}
        assert last["sessions"][0] == last["seats"][0] == (1, 2)
        assert isinstance(last["sessions"][1], FederatedSession)
        assert isinstance(last["seats"][1], FederatedSeats)
        assert (last["sessions"][1].title, last["seats"][1].confirmed) == ("Deux", 2)


async def test_a_duplicate_and_an_old_message_say_nothing(region: Region) -> None:
    messages = [said(session_state(), 2), said(seats_state(), 2), said(counts(), 2)]
    await region.hear(*messages)
    assert len(await region.out()) == 3

    await region.hear(*messages)
    await region.hear(
        said(session_state(title="Ancien"), 1), said(seats_state(confirmed=1), 1), said(counts(1), 1)
    )

    assert await region.out() == []


async def test_what_only_changed_inside_says_nothing(region: Region) -> None:
    await region.hear(said(session_state(), 1))
    await region.out()
    await region.hear(said(session_state(description="Autre chose", change_reason="Aline l’a demandé"), 2))
    assert await region.out() == []


async def test_an_erased_session_is_taken_back_with_its_seats(region: Region) -> None:
    await region.hear(said(session_state(), 1), said(seats_state(), 1))
    await region.out()

    await region.hear(erased(topics.SESSIONS, 2))

    gone = await region.out()
    assert [(stream, payload) for stream, _, payload in gone] == [("sessions", None), ("seats", None)]
    assert [envelope.newness for _, envelope, _ in gone] == [(1, 2), (1, 2)]
    await region.hear(said(seats_state(confirmed=5), 7), said(session_state(), 1))
    assert await region.out() == [], "a late duplicate doesn't bring it back"


async def test_what_never_left_needs_no_taking_back(region: Region) -> None:
    await region.hear(erased(topics.SESSIONS, 2), erased(topics.SEATS, 2))
    await region.hear(message(topics.TALLIES, key_of_cell(counts().cell), 3, None))
    assert await region.out() == []


async def test_a_cell_that_is_gone_is_taken_back(region: Region) -> None:
    await region.hear(said(counts(), 1))
    await region.hear(message(topics.TALLIES, key_of_cell(counts().cell), 2, None))
    assert [payload is None for _, _, payload in await region.out()] == [False, True]


async def test_counts_leave_as_they_are_and_the_profile_not_by_default(region: Region) -> None:
    await region.hear(said(counts(7), 1), said(profile(), 1))
    ((stream, _, payload),) = await region.out()
    assert stream == "tallies"
    assert payload == counts(7)


async def test_a_message_with_a_false_key_is_parked(region: Region) -> None:
    wrong = message(topics.SESSIONS, str(UUID(int=9)), 1, session_state())
    await region.hear(wrong, said(seats_state(), 1), message(topics.SESSIONS, "Aline Tremblay", 1, None))
    assert await region.parked() == ["the key is not the one of what is said", "the key is not an id"]
    assert await region.out() == []


async def test_a_message_that_may_not_leave_is_parked_and_holds_nobody_up(region: Region) -> None:
    await region.hear(
        said(session_state(theme="chez Aline"), 1), said(session_state(UUID(int=2)), 1), said(counts(), 1)
    )
    assert await region.parked() == ["theme is not in its vocabulary"]
    assert [stream for stream, *_ in await region.out()] == ["sessions", "tallies"]


async def test_a_session_that_goes_over_to_the_other_volet_follows_its_level(region: Region) -> None:
    await region.decide("nothing", "pro")
    await region.hear(said(session_state(), 1), said(seats_state(), 1))
    await region.out()

    await region.hear(said(session_state(stream="pro"), 2))
    assert [payload for *_, payload in await region.out()] == [None, None]

    await region.hear(said(session_state(stream="public"), 3))
    back = await region.out()
    assert [payload is not None for *_, payload in back] == [True, True]
    assert [envelope.newness for _, envelope, _ in back] == [(1, 3), (1, 3)]


async def test_a_restored_source_is_heard_with_its_higher_epoch(region: Region) -> None:
    await region.hear(said(session_state(), 9), said(counts(), 9))
    await region.out()

    await region.hear(said(session_state(title="Autre"), 2, epoch=2), said(counts(4), 1, epoch=2))

    assert [envelope.newness for _, envelope, _ in await region.out()] == [(2, 2), (2, 1)]


@pytest.mark.parametrize("level", ["nothing", "sessions", "counts", "profile"])
async def test_each_level_lets_out_what_it_says(region: Region, level: str) -> None:
    await region.decide(level)
    await region.out()
    await region.hear(said(session_state(), 1), said(seats_state(), 1), said(counts(), 1), said(profile(), 1))
    of_cells = {"operational": "counts", "profile": "profile"}
    found = [
        of_cells[payload.cell.kind] if isinstance(payload, FederatedTally) else stream
        for stream, _, payload in await region.out()
    ]
    wanted = {"nothing": 0, "sessions": 2, "counts": 3, "profile": 4}[level]
    assert found == ["sessions", "seats", "counts", "profile"][:wanted]
