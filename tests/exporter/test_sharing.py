"""A change of level, of key or of epoch: what has left follows it, newer than before."""

import base64
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.federated import LEVELS, Heartbeat
from libs.messaging.signing import KEY_ID, Signer, verify
from services.exporter.commands import ChangedMeanwhile
from services.exporter.consumer import inbox
from services.exporter.saying import Voice
from services.exporter.sharing import allowed, lets_out, next_newness
from tests.exporter.conftest import Region, counts, profile, said, seats_state, session_state

NEWNESS = st.tuples(st.integers(0, 4), st.integers(0, 9))


def test_each_level_holds_those_before_it() -> None:
    held = [[needed for needed in LEVELS[1:] if lets_out(level, needed)] for level in LEVELS]
    assert held == [list(LEVELS[1 : 1 + place]) for place in range(4)]
    assert allowed({"public": "sessions", "pro": "nothing"}) == ["public/sessions"]


@given(heard=NEWNESS, own=st.integers(0, 4), before=NEWNESS)
def test_what_is_said_next_is_newer_than_what_was_said(
    heard: tuple[int, int], own: int, before: tuple[int, int]
) -> None:
    following = next_newness(heard, own, before)
    assert following > before
    assert following >= (max(heard[0], own), heard[1])


@given(heard=NEWNESS)
def test_what_is_said_first_counts_as_its_source_does(heard: tuple[int, int]) -> None:
    assert next_newness((1 + heard[0], 1 + heard[1]), 1, (0, 0)) == (1 + heard[0], 1 + heard[1])


async def everything(region: Region) -> None:
    await region.hear(said(session_state(), 1), said(seats_state(), 1), said(counts(), 1), said(profile(), 1))


async def state_outside(region: Region, known: dict[str, object], streams: Sequence[str]) -> None:
    """Take in what goes out as a reader does: what is newer by (epoch, version) stands."""
    for stream, envelope, payload in await region.out(*streams):
        place = f"{stream} {envelope.subject}"
        newest = known.get(f"{place} newness", (0, 0))
        assert envelope.newness > newest, "each message about a thing is newer than the one before"
        known[f"{place} newness"] = envelope.newness
        known[place] = payload
        if payload is None:
            del known[place]


async def test_a_level_that_falls_and_rises_takes_back_and_says_again(region: Region) -> None:
    streams = ("sessions", "seats", "tallies")
    await region.decide("profile")
    await everything(region)
    outside: dict[str, object] = {}
    await state_outside(region, outside, streams)
    whole = dict(outside)
    things = [place for place in whole if not place.endswith("newness")]
    assert len(things) == 4

    left = []
    for level in ("counts", "sessions", "nothing", "sessions", "profile", "nothing", "counts"):
        await region.decide(level)
        await state_outside(region, outside, streams)
        left.append(len([place for place in outside if place in things]))
    assert left == [3, 2, 0, 2, 4, 0, 3]
    assert {place: outside[place] for place in things if place in outside}.items() <= whole.items()


async def test_nothing_is_taken_back_twice_and_nothing_said_twice(region: Region) -> None:
    await everything(region)
    await region.decide("nothing")
    await region.out()
    await region.restate()
    await region.decide("nothing")
    assert await region.out() == []


async def test_one_volets_level_leaves_the_other_alone(region: Region) -> None:
    await everything(region)
    await region.out()
    await region.decide("nothing", "pro")
    assert await region.out("sessions", "seats", "tallies") == []


async def test_what_is_heard_while_nothing_is_shared_leaves_when_it_is(region: Region) -> None:
    await region.decide("nothing")
    await region.hear(said(session_state(), 1), said(seats_state(), 1))
    await region.hear(said(session_state(title="Nouveau titre"), 2))
    assert await region.out("sessions", "seats") == []
    await region.decide("sessions")
    found = await region.out("sessions", "seats")
    assert [(stream, envelope.newness) for stream, envelope, _ in found] == [
        ("seats", (1, 1)),
        ("sessions", (1, 2)),
    ]


async def test_the_national_view_is_told_of_a_decision_before_anything_is_taken_back(region: Region) -> None:
    await everything(region)
    await region.out()
    await region.decide("nothing")
    (stream, _, payload), *rest = await region.out()
    assert stream == "heartbeat"
    assert isinstance(payload, Heartbeat)
    assert payload.shares == {"public": "nothing", "pro": "counts"}
    assert len(rest) == 3


async def test_a_decision_on_what_somebody_else_has_changed_is_refused(region: Region) -> None:
    await region.decide("sessions", seen="counts")
    with pytest.raises(ChangedMeanwhile):
        await region.decide("profile", seen="counts")


async def test_a_new_key_signs_everything_again(region: Region) -> None:
    await everything(region)
    before = await region.raw()
    signer = Signer.from_secret(base64.b64encode(b"another key of thirty-two bytes!").decode())
    region.voice = Voice("demo", signer)
    region.inbox = inbox(region.database, region.voice, region.settings.base_url)

    await region.restate()

    again = await region.raw()
    assert {one.headers[KEY_ID] for one in again} == {signer.key_id}
    assert {(one.key, one.value) for one in again} == {(one.key, one.value) for one in before}
    assert all(one.headers["ce_version"] == "2" for one in again)
    assert not any(verify(one, signer.public_key) for one in before)
    await region.restate()
    assert await region.raw() == []


async def test_after_a_restore_everything_is_said_again_with_the_epoch(region: Region) -> None:
    await everything(region)
    await region.out()
    await region.execute("update epoch set epoch = 3")
    await region.restate()
    assert {envelope.newness for _, envelope, _ in await region.out()} == {(3, 1)}
    await region.hear(said(session_state(title="Après"), 2))
    ((_, envelope, _),) = await region.out()
    assert envelope.newness == (3, 2)


async def test_many_things_are_brought_in_line_batch_by_batch(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.exporter.restating._BATCH", 3)
    tallies = [counts(month=f"2027-{number:02}") for number in range(1, 11)]
    await region.hear(*[said(tally, 1) for tally in tallies])
    await region.out()
    await region.decide("nothing")
    assert len(await region.out("tallies")) == 10
