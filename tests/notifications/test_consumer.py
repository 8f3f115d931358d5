"""What `registrations` says becomes notices: once per cause, whatever is repeated, reordered or lost."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from libs.messaging.contracts import ContactDetails
from services.notifications import restoring
from services.notifications.suppressions import suppress
from tests.notifications.conftest import Office, ShiftClock
from tests.notifications.facts import Person, cause_of, elsewhere, session_facts


async def test_each_cause_becomes_one_notice_by_the_persons_own_route(office: Office) -> None:
    by_mail = Person().after("confirmed")
    by_phone = Person(contact=ContactDetails(phone="+14185550102", postal="12, rue du Pont")).after(
        "confirmed"
    )
    await office.hear(by_mail, by_phone)
    rows = await office.rows("select registration_id, route, status, message_id, uid, sequence from delivery")
    found = {row.registration_id: row for row in rows}
    assert (found[by_mail.id].route, found[by_phone.id].route) == ("email", "phone")
    assert found[by_mail.id].uid == by_mail.state.uid
    assert found[by_mail.id].message_id.endswith("@test.tournee.internal>")


async def test_duplicates_and_late_copies_tell_nothing_twice(office: Office) -> None:
    early = Person().after("waitlisted")
    late = early.after("offered", "confirmed")
    for message in (late, early, late, early):
        await office.hear(message)
    await office.inbox.handle([late.message(), late.message(), early.message()])
    assert await office.notices(late) == [
        ("waitlisted", "queued"),
        ("offered", "superseded"),
        ("confirmed", "queued"),
    ]


async def test_a_wait_is_told_of_once_and_needs_no_word_any_more_once_a_seat_was_found(
    office: Office,
) -> None:
    """The end comes without a cause: the news of the seat tells the whole story."""
    noted = Person().after(cause_of("wait_noted", status="waitlisted"))
    await office.hear(noted)
    assert await office.notices(noted) == [("wait_noted", "queued")]
    found = replace(noted, status="cancelled")
    await office.inbox.handle([found.message(version=2)])
    assert await office.notices(noted) == [("wait_noted", "superseded")]


async def test_the_end_of_a_wait_is_told_after_its_beginning(office: Office) -> None:
    ended = Person(status="cancelled").after(
        cause_of("wait_noted", status="waitlisted"), cause_of("wait_over", version=2, status="cancelled")
    )
    await office.hear(ended)
    assert await office.notices(ended) == [("wait_noted", "queued"), ("wait_over", "queued")]


async def test_compaction_loses_no_cause(office: Office) -> None:
    """Only the last message of a person is still in the stream."""
    last = Person().after("waitlisted", "offered", "offer_expired")
    await office.hear(last)
    assert await office.notices(last) == [
        ("waitlisted", "queued"),
        ("offered", "superseded"),
        ("offer_expired", "queued"),
    ]


async def test_a_replay_of_everything_tells_nobody_anything(office: Office) -> None:
    people = [Person().after("confirmed", "session_changed", "cancelled_by_person") for _ in range(5)]
    await office.hear(*people)
    before = await office.rows("select * from delivery order by id")
    await forget_what_arrived(office)
    await office.hear(*people)
    # After a restore, the same state comes with a higher epoch and a silent cause.
    restored = [p.after(cause_of("restored", epoch=2)) for p in people]
    await office.inbox.handle([p.message(epoch=2) for p in restored])
    assert await office.rows("select * from delivery order by id") == before


async def test_the_newest_contact_counts_however_old_a_message_is(office: Office) -> None:
    first = Person().after("waitlisted")
    second = Person(id=first.id, contact=ContactDetails(phone="+14185550102"), causes=first.causes).after(
        "confirmed"
    )
    await office.hear(second)
    await office.hear(first)
    rows = await office.rows("select state -> 'contact' ->> 'phone' as phone, version from registration")
    assert [tuple(row) for row in rows] == [("+14185550102", 2)]


async def test_an_erased_person_leaves_no_personal_data_and_is_told_nothing_more(office: Office) -> None:
    person = Person().after("confirmed", "session_changed")
    await office.hear(person)
    await office.inbox.handle([person.message(erased=True, version=9)])
    assert await office.rows("select * from registration") == []
    rows = await office.rows("select facts, status from delivery")
    assert [tuple(row) for row in rows] == [(None, "superseded")] * 2
    # A late copy of what was said before doesn't bring the person back.
    await forget_what_arrived(office)
    await office.hear(person)
    assert await office.rows("select * from registration") == []
    assert await office.notices(person) == [("confirmed", "superseded"), ("session_changed", "superseded")]


async def test_a_restoration_is_told_of_everybody_who_is_known_here(office: Office) -> None:
    """Whoever is none of `registrations`' any more is then taken back."""
    person, erased = Person().after("confirmed"), Person().after("confirmed")
    await office.hear(person, erased)
    await office.inbox.handle([erased.message(erased=True, version=9)])
    async with office.database.transaction() as session:
        assert await restoring.copies(session) == {str(person.id): str(person.state.session_id)}


async def test_the_erased_state_ahead_of_its_tombstone_forgets_too(office: Office) -> None:
    person = Person().after("confirmed")
    await office.hear(person)
    nobody = Person(id=person.id, name="", contact=ContactDetails(), causes=person.causes)
    await office.inbox.handle([nobody.message(version=5)])
    rows = await office.rows("select facts, status from delivery")
    assert [tuple(row) for row in rows] == [(None, "superseded")]


async def test_a_tombstone_of_somebody_unknown_is_remembered(office: Office) -> None:
    person = Person().after("confirmed")
    await office.inbox.handle([person.message(erased=True, version=5)])
    await office.hear(person)
    assert await office.rows("select * from delivery") == []


async def test_nobody_writes_again_to_an_address_that_does_not_exist(office: Office) -> None:
    contact = ContactDetails(email="Aline@Example.org", phone="+14185550102")
    async with office.database.transaction() as session:
        await suppress(session, office.settings, "aline@example.org", "RCPT 550 5.1.1")
    with_phone = Person(contact=contact).after("confirmed")
    without = Person(contact=ContactDetails(email="aline@example.org")).after("confirmed")
    await office.hear(with_phone, without)
    rows = await office.rows("select registration_id, route from delivery")
    # Without another route the address is tried again rather than the person forgotten.
    assert {row.registration_id: row.route for row in rows} == {with_phone.id: "phone", without.id: "email"}


@pytest.mark.parametrize(
    "contact", [ContactDetails(email="a@example.org"), ContactDetails(phone="+14185550102")]
)
@pytest.mark.parametrize("first", ["old", "new"])
async def test_a_transfer_is_told_once_and_silences_the_old_registration(
    office: Office, contact: ContactDetails, first: str
) -> None:
    before = Person(contact=contact).after("confirmed", "session_changed", "reminder_7d")
    await office.hear(before)
    old, new = before.transferred(elsewhere())
    ended = old.message(version=before.version + 1)
    messages = [ended, new.message()] if first == "old" else [new.message(), ended]
    for message in [*messages, *messages]:
        await office.inbox.handle([message])
    assert {status for _cause, status in await office.notices(old)} == {"superseded"}
    assert await office.notices(new) == [("transferred", "queued")]
    rows = await office.rows("select uid, sequence from delivery where registration_id = :id", id=new.id)
    assert [tuple(row) for row in rows] == [(before.state.uid, before.state.sequence + 1)]


async def test_a_late_copy_of_an_old_registration_stays_silent(office: Office) -> None:
    before = Person().after("confirmed")
    old, new = before.transferred(elsewhere())
    await office.inbox.handle([old.message(version=2), new.message()])
    await office.hear(before)
    await office.hear(old.after("reminder_1d"))
    assert {status for _cause, status in await office.notices(old)} == {"superseded"}


async def test_causes_that_nobody_here_knows_do_no_harm(office: Office) -> None:
    odd = ("a_cause_of_next_year", "../../etc/passwd", "", "reminder_" + "x" * 300, "%s {{ }}")
    for name in odd:
        await office.hear(Person().after("confirmed", cause_of(name)))
    rows = await office.rows("select cause, status from delivery where cause <> 'confirmed'")
    assert [row.cause for row in rows] == ["reminder_" + "x" * 300]


async def test_a_change_waits_by_the_decision_clock(office: Office, shift_clock: ShiftClock) -> None:
    person = Person().after("confirmed", cause_of("session_changed", session=session_facts(days=9)))
    await office.hear(person)
    due = "select count(*) as n from delivery where next_attempt_at <= clock.decision_time()"
    assert (await office.rows(due))[0].n == 1
    await shift_clock(timedelta(seconds=61))
    assert (await office.rows(due))[0].n == 2


async def forget_what_arrived(office: Office) -> None:
    """As if every message came under a new id."""
    async with office.database.transaction() as session:
        await session.execute(sa.text("delete from inbox"))
