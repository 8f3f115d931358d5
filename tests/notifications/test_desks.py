"""Several desks at the call list at once: nobody is called by two of them, whatever the news."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest
import sqlalchemy as sa

from libs.messaging.contracts import ContactDetails
from tests.notifications.conftest import Office, ShiftClock
from tests.notifications.facts import Person, cause_of, elsewhere

PHONE = ContactDetails(phone="+14185550102")


async def calls_of(office: Office, *people: Person) -> list[str]:
    """The addresses of the open calls to these people, oldest first."""
    found = await office.rows(
        "select id from delivery where registration_id = any(:ids) and status in ('queued', 'failed')"
        " order by created_at, version",
        ids=[person.id for person in people],
    )
    return [f"/guichet/appels/{row.id}" for row in found]


async def take(client: httpx.AsyncClient, call: str, initials: str) -> int:
    return (await client.post(f"{call}/prendre", data={"desk": initials})).status_code


async def note(client: httpx.AsyncClient, call: str, initials: str, outcome: str, number: int = 1) -> int:
    form = {"outcome": outcome, "initials": initials, "number": str(number)}
    return (await client.post(f"{call}/resultat", data=form)).status_code


async def holders(office: Office, calls: Sequence[str]) -> list[str | None]:
    found = await office.rows("select id, claim from delivery")
    by_id = {str(row.id): row.claim for row in found}
    return [by_id[call.split("/")[-1]] for call in calls]


async def test_of_many_desks_that_take_one_call_at_once_one_gets_it(
    client: httpx.AsyncClient, office: Office
) -> None:
    person = Person(contact=PHONE).after("confirmed")
    await office.hear(person)
    (call,) = await calls_of(office, person)
    answers = await asyncio.gather(*(take(client, call, f"D{n}") for n in range(8)))
    assert sorted(answers) == [303] + [409] * 7


def household(contact: ContactDetails) -> list[Person]:
    """One person in three sessions, and somebody who answers the same telephone."""
    mobile = ContactDetails(mobile=contact.phone, email=None)
    return [
        Person(contact=contact).after("confirmed"),
        Person(contact=contact).after(cause_of("offered", session=elsewhere())),
        Person(contact=mobile).after(cause_of("waitlisted", session=elsewhere(days=40))),
        Person(name="Rose Bouchard", contact=contact).after("confirmed"),
    ]


async def test_of_many_desks_one_gets_all_that_is_to_be_told_at_one_telephone(
    client: httpx.AsyncClient, office: Office
) -> None:
    """Two notices of the same person, taken by two desks in the same instant, again and again."""
    for round_ in range(6):
        people = household(ContactDetails(phone=f"+1418555{200 + round_:04}"))
        await office.hear(*people)
        calls = await calls_of(office, *people)
        assert len(calls) == 4
        wanted = [(calls[n % 4], f"D{n}") for n in range(8)]
        answers = await asyncio.gather(*(take(client, call, desk) for call, desk in wanted))
        assert sorted(answers) == [303] + [409] * 7
        holding = await holders(office, calls)
        assert len(set(holding)) == 1
        assert holding[0] == wanted[answers.index(303)][1]


async def test_many_people_are_shared_out_among_the_desks(client: httpx.AsyncClient, office: Office) -> None:
    """Each desk takes what it sees first until nothing is left: every person is called by one desk."""
    people = [person for n in range(6) for person in household(ContactDetails(phone=f"+1418555{300 + n:04}"))]
    await office.hear(*people)
    calls = await calls_of(office, *people)
    called: dict[str, list[str]] = {}

    async def work(desk: str) -> None:
        for call in calls:
            if await take(client, call, desk) == 303:
                called.setdefault(call, []).append(desk)

    await asyncio.gather(*(work(f"D{n}") for n in range(4)))
    # A desk may take again what it has; no call was ever given to two.
    assert all(len(set(desks)) == 1 for desks in called.values())
    at = {
        str(row.id): row.number
        for row in await office.rows(
            "select d.id, coalesce(r.state #>> '{contact,phone}', r.state #>> '{contact,mobile}') as number"
            " from delivery d join registration r on r.id = d.registration_id"
        )
    }
    desks_of: dict[str, set[str]] = {}
    for call, holder in zip(calls, await holders(office, calls), strict=True):
        assert holder is not None
        desks_of.setdefault(at[call.split("/")[-1]], set()).add(holder)
    assert len(desks_of) == 6
    assert all(len(desks) == 1 for desks in desks_of.values())


async def test_two_desks_that_note_the_same_call_at_once_count_once(
    client: httpx.AsyncClient, office: Office
) -> None:
    person = Person(contact=PHONE).after("confirmed")
    await office.hear(person)
    (call,) = await calls_of(office, person)
    answers = await asyncio.gather(*(note(client, call, f"D{n}", "reached") for n in range(6)))
    assert set(answers) <= {303, 409}
    assert answers.count(303) >= 1
    (row,) = await office.rows("select status, calls from delivery")
    assert (row.status, row.calls) == ("done", 1)
    assert len(await office.rows("select 1 from call_outcome")) == 1
    assert len(await office.rows("select 1 from attempt")) == 1


async def test_news_that_comes_while_somebody_calls_is_nobody_else_s(
    client: httpx.AsyncClient, office: Office, shift_clock: ShiftClock
) -> None:
    first = Person(contact=PHONE).after("confirmed")
    await office.hear(first)
    (call,) = await calls_of(office, first)
    assert await take(client, call, "MB") == 303
    other = Person(contact=PHONE).after(cause_of("offered", session=elsewhere()))
    await office.hear(other)
    (new,) = await calls_of(office, other)
    refused = await client.post(f"{new}/prendre", data={"desk": "JT"})
    assert refused.status_code == 409
    assert "en cours par MB" in refused.text
    assert await note(client, new, "JT", "reached") == 409
    # Whoever is on the line says it too; the page of the one call leads to the other.
    assert new in (await client.get(call)).text
    assert await note(client, new, "MB", "reached") == 303


async def test_who_was_reached_can_be_told_the_rest_and_who_was_not_goes_back_to_the_list(
    client: httpx.AsyncClient, office: Office
) -> None:
    people = household(PHONE)
    await office.hear(*people)
    calls = await calls_of(office, *people)
    assert await take(client, calls[0], "MB") == 303
    assert await note(client, calls[0], "MB", "reached") == 303
    assert await holders(office, calls) == [None, "MB", "MB", "MB"]
    assert await note(client, calls[1], "MB", "no_answer") == 303
    assert await holders(office, calls) == [None] * 4
    assert await take(client, calls[2], "JT") == 303


async def test_putting_back_one_call_puts_back_all_of_them(client: httpx.AsyncClient, office: Office) -> None:
    people = household(PHONE)
    await office.hear(*people)
    calls = await calls_of(office, *people)
    await take(client, calls[0], "MB")
    assert (await client.post(f"{calls[3]}/laisser")).status_code == 303
    assert await holders(office, calls) == [None] * 4


@pytest.mark.parametrize(
    "contact", [ContactDetails(email="a@example.org"), ContactDetails(postal="12, rue du Pont")]
)
async def test_people_without_a_telephone_have_nothing_in_common(
    client: httpx.AsyncClient, office: Office, contact: ContactDetails
) -> None:
    people = [Person(contact=contact).after("confirmed") for _ in range(2)]
    await office.hear(*people)
    async with office.database.transaction() as session:
        await session.execute(sa.text("update delivery set status = 'failed' where route = 'email'"))
    calls = await calls_of(office, *people)
    assert await take(client, calls[0], "MB") == 303
    assert await holders(office, calls) == ["MB", None]
    assert await take(client, calls[1], "JT") == 303
