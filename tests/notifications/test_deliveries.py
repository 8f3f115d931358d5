"""Sending over a real mail server that takes, refuses, stalls or goes away, with crashes in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
import sqlalchemy as sa

from libs.messaging.contracts import ContactDetails
from services.notifications.carriers import ByMail
from services.notifications.deliveries import Deliveries
from services.notifications.smtp import Post, Server
from tests.notifications.conftest import Office, ShiftClock
from tests.notifications.facts import Person, cause_of, elsewhere, moved, session_facts
from tests.notifications.sink import Sink
from tests.waiting import eventually


@asynccontextmanager
async def sending(office: Office, sink: Sink) -> AsyncIterator[Deliveries]:
    """The loop, running while the block does; whatever it raises ends the test."""
    deliveries = Deliveries(office.database, office.settings, ByMail(Post(Server.of(sink.url))))
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(deliveries.run(stop))
        try:
            yield deliveries
        finally:
            stop.set()


async def statuses(office: Office) -> list[str]:
    return [
        row.status for row in await office.rows("select status from delivery order by epoch, version, id")
    ]


async def all_are(office: Office, *expected: str) -> None:
    async def so() -> bool:
        return await statuses(office) == list(expected)

    await eventually(so, f"never became {expected}")


async def test_a_notice_is_sent_and_recorded_with_its_message_id(office: Office, sink: Sink) -> None:
    person = Person().after("confirmed")
    await office.hear(person)
    async with sending(office, sink):
        await all_are(office, "sent")
    (row,) = await office.rows("select message_id, sent_at, attempts, claim from delivery")
    assert sink.message_ids == [row.message_id]
    assert row.sent_at is not None
    assert (row.attempts, row.claim) == (1, None)
    assert sink.envelopes == [("inscriptions@test.tournee.internal", "aline@example.org")]


async def test_what_is_heard_leaves_at_once_when_the_loop_is_woken(office: Office, sink: Sink) -> None:
    async with sending(office, sink) as deliveries:
        for _ in range(3):
            await office.hear(Person().after("confirmed"))
            deliveries.wake()
        await all_are(office, "sent", "sent", "sent")


async def test_many_notices_share_a_few_connections(office: Office, sink: Sink) -> None:
    people = [Person(name=f"Personne {n}").after("confirmed") for n in range(40)]
    await office.hear(*people)
    async with sending(office, sink):
        await eventually(lambda: len(sink.letters) == 40)
        await all_are(office, *["sent"] * 40)
    assert len(set(sink.message_ids)) == 40
    assert sink.connections <= 4


async def test_two_processes_send_each_notice_once(office: Office, sink: Sink) -> None:
    await office.hear(*(Person().after("waitlisted", "confirmed") for _ in range(20)))
    async with sending(office, sink), sending(office, sink):
        await all_are(office, *["sent"] * 40)
    assert len(sink.message_ids) == len(set(sink.message_ids)) == 40


async def test_one_person_hears_of_things_in_their_order(office: Office, sink: Sink) -> None:
    people = [Person(name=f"P{n}").after("waitlisted", "confirmed", "cancelled_by_person") for n in range(8)]
    await office.hear(*people)
    async with sending(office, sink):
        await all_are(office, *["sent"] * 24)
    for person in people:
        mine = [str(m["Subject"]) for m in sink.letters if str(m["To"]).startswith(f"{person.name} ")]
        assert [subject.split("\u00a0:")[0] for subject in mine] == [
            "Vous êtes en attente",
            "Vous avez une place",
            "Votre inscription est annulée",
        ]


async def test_a_server_that_says_later_is_asked_again(
    office: Office, sink: Sink, shift_clock: ShiftClock
) -> None:
    sink.rcpt = lambda _address: "451 4.7.1 greylisted aline@example.org"
    await office.hear(Person().after("confirmed"))
    async with sending(office, sink) as deliveries:
        (row,) = await eventually(
            lambda: office.rows("select last_error, status from delivery where last_error is not null")
        )
        assert (row.last_error, row.status) == ("RCPT 451 4.7.1", "queued")
        sink.rcpt = lambda _address: None
        await shift_clock(timedelta(minutes=1))
        deliveries.wake()
        await all_are(office, "sent")
    (row,) = await office.rows("select attempts, last_error from delivery")
    assert row.attempts >= 2
    assert row.last_error is None
    assert len(sink.letters) == 1


@pytest.mark.parametrize(
    ("answer", "suppressed"),
    [("550 5.1.1 no such user", 1), ("550 no such user", 1), ("550 5.7.1 policy", 0), ("552 5.2.2 full", 0)],
)
async def test_a_refused_address_becomes_a_call(
    office: Office, sink: Sink, answer: str, suppressed: int
) -> None:
    sink.rcpt = lambda _address: answer
    contact = ContactDetails(email="aline@example.org", phone="+14185550102")
    await office.hear(Person(contact=contact).after("confirmed"))
    async with sending(office, sink):
        await eventually(lambda: office.rows("select 1 from delivery where route = 'phone'"))
    (row,) = await office.rows("select status, tried_routes, last_error, claim from delivery")
    assert (row.status, row.tried_routes, row.claim) == ("queued", ["email"], None)
    assert row.last_error.startswith("RCPT 55")
    assert "aline" not in row.last_error
    assert len(await office.rows("select * from suppression")) == suppressed


async def test_whom_no_route_reaches_stands_on_the_list_of_the_unreached(office: Office, sink: Sink) -> None:
    sink.data = lambda _address: "554 5.6.0 we don't like it"
    await office.hear(Person().after("waitlisted"))
    async with sending(office, sink):
        await all_are(office, "failed")
    assert (await office.rows("select last_error from delivery"))[0].last_error == "DATA 554 5.6.0"
    assert await office.rows("select * from suppression") == []


async def test_of_several_refused_notices_only_the_latest_is_called_about(office: Office, sink: Sink) -> None:
    sink.rcpt = lambda _address: "550 5.1.1 no such user"
    contact = ContactDetails(email="aline@example.org", phone="+14185550102")
    await office.hear(Person(contact=contact).after("waitlisted", "confirmed"))
    async with sending(office, sink):
        await eventually(lambda: office.rows("select 1 from delivery where route = 'phone' and version = 2"))
    assert await statuses(office) == ["superseded", "queued"]


async def test_a_connection_lost_after_the_message_repeats_it_under_the_same_id(
    office: Office, sink: Sink, shift_clock: ShiftClock
) -> None:
    sink.data = lambda _address: "drop"
    person = Person().after("confirmed")
    await office.hear(person)
    async with sending(office, sink) as deliveries:
        await eventually(lambda: office.rows("select 1 from delivery where last_error is not null"))
        sink.data = lambda _address: None
        await shift_clock(timedelta(minutes=1))
        deliveries.wake()
        await all_are(office, "sent")
    assert len(sink.letters) >= 2
    assert len(set(sink.message_ids)) == 1
    calendars = {
        part.get_content()
        for m in sink.letters
        for part in m.walk()
        if part.get_content_type() == "text/calendar"
    }
    assert len(calendars) == 1


async def test_a_crash_between_sending_and_recording_repeats_the_same_message(
    office: Office, sink: Sink
) -> None:
    sink.gate = asyncio.Event()
    await office.hear(Person().after("confirmed"))
    crashing = asyncio.create_task(
        Deliveries(office.database, office.settings, ByMail(Post(Server.of(sink.url)))).run(asyncio.Event())
    )
    await eventually(lambda: office.rows("select 1 from delivery where claim is not null"))
    await eventually(lambda: sink.connections == 1)
    crashing.cancel()
    with suppress(asyncio.CancelledError):
        await crashing
    sink.gate.set()
    assert await statuses(office) == ["queued"]
    async with sending(office, sink):
        # Another process leaves the claim alone until its lease has run out.
        assert await statuses(office) == ["queued"]
        await let_the_lease_run_out(office)
        await all_are(office, "sent")
    assert len(set(sink.message_ids)) == 1


async def let_the_lease_run_out(office: Office) -> None:
    async with office.database.transaction() as session:
        await session.execute(sa.text("update delivery set claimed_until = clock_timestamp()"))


async def test_a_slow_server_keeps_its_message_and_holds_up_nobody_else(office: Office, sink: Sink) -> None:
    sink.gate = asyncio.Event()
    await office.hear(*(Person().after("confirmed") for _ in range(6)))
    async with sending(office, sink):
        await eventually(
            lambda: office.rows("select 1 from delivery where claim is not null having count(*) = 4")
        )
        sink.gate.set()
        await all_are(office, *["sent"] * 6)
    assert len(set(sink.message_ids)) == 6


async def test_a_server_that_is_away_is_waited_for(office: Office, shift_clock: ShiftClock) -> None:
    sink = Sink()
    async with sink.running():
        pass
    await office.hear(Person().after("confirmed"))
    async with sending(office, sink) as deliveries:
        (row,) = await eventually(
            lambda: office.rows("select last_error from delivery where last_error is not null")
        )
        assert row.last_error.startswith("CONNECT")
        async with sink.running():
            await shift_clock(timedelta(hours=1))
            deliveries.wake()
            await all_are(office, "sent")


async def test_a_notice_that_never_gets_through_becomes_a_call_in_time(
    office: Office, shift_clock: ShiftClock
) -> None:
    sink = Sink()
    async with sink.running():
        pass
    contact = ContactDetails(email="aline@example.org", mobile="+14185550101")
    await office.hear(Person(contact=contact).after("offered"))
    async with sending(office, sink) as deliveries:
        await eventually(lambda: office.rows("select 1 from delivery where last_error is not null"))
        await shift_clock(timedelta(hours=13))
        deliveries.wake()
        await eventually(lambda: office.rows("select 1 from delivery where route = 'mobile'"))


async def test_three_changes_make_one_mail_that_tells_the_difference_to_what_was_told(
    office: Office, sink: Sink, shift_clock: ShiftClock
) -> None:
    first = session_facts(days=9)
    person = Person().after(cause_of("confirmed", session=first))
    await office.hear(person)
    async with sending(office, sink) as deliveries:
        await all_are(office, "sent")
        facts = first
        for shift in (1, 1, 2):
            before, facts = facts, moved(facts, days=shift)
            person = person.after(cause_of("session_changed", previous=before, session=facts, sequence=shift))
            await office.hear(person)
        await shift_clock(timedelta(seconds=61))
        deliveries.wake()
        await all_are(office, "sent", "superseded", "superseded", "sent")
    letter = sink.letters[-1]
    text = letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert str(first.starts_at.day) in text.partition("Avant, c’était")[2].partition("\n")[0]
    assert str(letter["Subject"]).startswith("Nouvelle date")
    assert len(sink.letters) == 2


async def test_moved_and_moved_back_within_the_minute_tells_nobody(
    office: Office, sink: Sink, shift_clock: ShiftClock
) -> None:
    first = session_facts(days=9)
    person = Person().after(cause_of("confirmed", session=first))
    await office.hear(person)
    async with sending(office, sink) as deliveries:
        await all_are(office, "sent")
        there = moved(first, days=1)
        person = person.after(
            cause_of("session_changed", previous=first, session=there),
            cause_of("session_changed", previous=there, session=first),
        )
        await office.hear(person)
        await shift_clock(timedelta(seconds=61))
        deliveries.wake()
        await all_are(office, "sent", "superseded", "superseded")
    assert len(sink.letters) == 1


async def test_a_transfer_sends_one_mail_that_tells_from_where(office: Office, sink: Sink) -> None:
    person = Person().after("confirmed")
    await office.hear(person)
    async with sending(office, sink) as deliveries:
        await all_are(office, "sent")
        # Nobody was told yet that the session moved, when the person is transferred to another one.
        last = moved(person.causes[-1].session, days=3)
        person = person.after(cause_of("session_changed", session=last, sequence=1))
        await office.hear(person)
        old, new = person.transferred(elsewhere(), invited=True)
        # The message of the old registration's end is still on its way.
        await office.hear(new)
        deliveries.wake()
        await eventually(lambda: len(sink.letters) == 2)
        await office.inbox.handle([old.message(version=3)])
        deliveries.wake()
        await all_are(office, "sent", "sent", "superseded")
    letter = sink.letters[-1]
    assert str(letter["Subject"]).startswith("Votre place a changé d’atelier")
    text = letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    told = text.partition("Avant, c’était")[2].partition("Maintenant")[0]
    assert f" {person.causes[0].session.starts_at.day} " in told
    calendars = [part for part in letter.walk() if part.get_content_type() == "text/calendar"]
    assert [part.get_param("method") for part in calendars] == ["REQUEST"]
    assert person.state.uid in calendars[0].get_content().replace("\r\n ", "")


async def test_what_waits_for_an_old_registration_waits_no_longer_once_it_was_transferred(
    office: Office, sink: Sink
) -> None:
    person = Person().after("confirmed")
    _old, new = person.transferred(elsewhere())
    await office.hear(person)
    await office.hear(new)
    async with sending(office, sink) as deliveries:
        await eventually(lambda: len(sink.letters) == 1)
        await office.hear(Person(name="Une autre personne").after("confirmed"))
        deliveries.wake()
        await eventually(lambda: len(sink.letters) == 2)
    assert await office.notices(person) == [("confirmed", "queued")]
    assert await office.notices(new) == [("transferred", "sent")]


async def test_a_cancellation_comes_at_once_and_instead_of_the_change(office: Office, sink: Sink) -> None:
    person = Person().after("confirmed")
    await office.hear(person)
    async with sending(office, sink) as deliveries:
        await all_are(office, "sent")
        person = person.after("session_changed")
        await office.hear(person)
        await office.hear(person.after(cause_of("session_cancelled", invited=True)))
        deliveries.wake()
        await all_are(office, "sent", "superseded", "sent")
    assert str(sink.letters[-1]["Subject"]).startswith("Atelier annulé")


async def test_an_address_that_no_mail_can_carry_becomes_a_call_and_stops_nobody(
    office: Office, sink: Sink
) -> None:
    hostile = ContactDetails(email="a@b.example\r\nBcc: all@example.org", phone="+14185550102")
    bad = Person(contact=hostile).after("confirmed")
    await office.hear(bad, Person().after("confirmed"))
    async with sending(office, sink):
        await eventually(lambda: office.rows("select 1 from delivery where route = 'phone'"))
        await eventually(lambda: len(sink.letters) == 1)
    (row,) = await office.rows("select last_error from delivery where route = 'phone'")
    assert row.last_error == "ADDRESS unreadable"


async def test_a_person_erased_while_their_mail_waits_gets_none(office: Office, sink: Sink) -> None:
    person = Person().after("confirmed")
    await office.hear(person)
    await office.inbox.handle([person.message(erased=True, version=5)])
    async with sending(office, sink) as deliveries:
        await office.hear(Person().after("confirmed"))
        deliveries.wake()
        await eventually(lambda: len(sink.letters) == 1)
    assert await office.notices(person) == [("confirmed", "superseded")]
