"""The equity report of one instance: from its own tallies, whatever it shares, and for its team alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from libs.messaging.contracts import SeatCounts
from services.registrations import desk_equity
from tests.registrations.conftest import Instance, ShiftClock, session_state
from tests.registrations.test_attendance import attend
from tests.registrations.test_pages import text_of
from tests.registrations.test_tallying import a_month, count

PATH, API = "/guichet/equite", "/api/registrations/v1/equity"


@pytest.fixture
def desk(instance: Instance) -> Instance:
    """The instance, its client signed in as staff."""
    instance.client.headers.update(instance.staff)
    return instance


async def get(desk: Instance, **query: str) -> httpx.Response:
    page = await desk.client.get(PATH, params=query)
    assert page.status_code == 200, page.text
    return page


async def ask(desk: Instance, **query: str) -> dict[str, Any]:
    answer = await desk.client.get(API, params={name.rstrip("_"): value for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def line(found: dict[str, Any], channel: str) -> dict[str, Any]:
    (one,) = [one for one in found["channels"] if one["channel"] == channel]
    return dict(one)


async def a_full_session(desk: Instance, shift_clock: ShiftClock) -> None:
    """Ten by the Web at once, ten by telephone three hours later; who came is noted."""
    session = session_state(in_days=5, capacity=SeatCounts(on_site=15))
    await desk.hear(session)
    people = [(await desk.register(session.id, number)).json() for number in range(10)]
    await shift_clock(desk.database, timedelta(hours=3))
    people += [(await desk.register(session.id, number, channel="phone")).json() for number in range(10, 20)]
    await shift_clock(desk.database, timedelta(days=5))
    for person in people[:15]:
        await attend(desk, person, "attended" if person is not people[0] else "absent")
    await count(desk)


async def test_the_report_counts_what_happened_here(desk: Instance, shift_clock: ShiftClock) -> None:
    await a_full_session(desk, shift_clock)

    found = await ask(desk)
    page = text_of(await get(desk, mois="tout"))

    web, phone = line(found, "web"), line(found, "phone")
    assert web["seated_at_start"] == {"value": 100.0, "numerator": 10, "denominator": 10}
    assert phone["waiting_at_start"] == {"value": 50.0, "numerator": 5, "denominator": 10}
    assert web["attendance"] == {"value": 90.0, "numerator": 9, "denominator": 10}
    assert phone["attendance"] == {"value": None, "numerator": 5, "denominator": 5}
    assert web["minutes_from_opening"]["interval"] == [0, 1]
    assert phone["minutes_from_opening"]["interval"] == [120, 240]
    assert found["assisted"] == phone | {"channel": "assisted"}
    assert found["all"]["registrations"] == 20
    assert found["counted_at"] is not None
    assert "Avec de l’aide, la moitié des demandes arrivent en 4 h ou moins après l’ouverture" in page
    assert "par le Web, en 1 min ou moins." in page


async def test_offers_are_counted_by_channel(desk: Instance, shift_clock: ShiftClock) -> None:
    session, _people = await a_month(desk, shift_clock)
    await count(desk)

    web = line(await ask(desk, from_=f"{session.starts_at:%Y-%m}", to=f"{session.starts_at:%Y-%m}"), "web")

    assert web["offers_accepted"] == {"value": None, "numerator": 1, "denominator": 1}
    assert web["answer_minutes"] == {"value": None, "interval": None, "n": 1}


async def test_months_streams_and_subjects_choose_what_is_counted(
    desk: Instance, shift_clock: ShiftClock
) -> None:
    early = session_state(starts_at=datetime.fromisoformat("2031-05-30T13:30"))
    late = session_state(starts_at=datetime.fromisoformat("2031-06-02T13:30"), theme="tablette")
    pro = session_state(starts_at=datetime.fromisoformat("2031-06-02T15:30"), stream="pro")
    await desk.hear(early, late, pro)
    for session in (early, late, pro):
        await desk.register(session.id, organisation="Bibliothèque", role="staff")
    await count(desk)

    async def registered(**query: str) -> int:
        return int((await ask(desk, **query))["all"]["registrations"])

    assert await registered() == 3
    assert await registered(from_="2031-06") == 2
    assert await registered(to="2031-05") == 1
    assert await registered(stream="pro") == 1
    assert await registered(theme="tablette") == 1
    assert await registered(modality="online") == 0
    page = await get(desk, mois="2031-06", volet="public", sujet="tablette")
    assert "Juin 2031" in text_of(page)
    assert '<option value="2031-06" selected>' in page.text
    assert f"{API}?from=2031-06&amp;to=2031-06&amp;stream=public&amp;theme=tablette" in page.text


async def test_a_cell_that_was_taken_back_counts_no_more(desk: Instance) -> None:
    session = session_state(starts_at=datetime.fromisoformat("2031-05-30T13:30"))
    await desk.hear(session)
    await desk.register(session.id)
    await count(desk)
    await desk.hear(
        session_state(id=session.id, starts_at=datetime.fromisoformat("2031-06-02T13:30")), version=2
    )
    await count(desk)

    assert (await ask(desk, to="2031-05"))["all"]["registrations"] == 0
    assert (await ask(desk))["all"]["registrations"] == 1
    assert "Mai 2031" not in text_of(await get(desk))


async def test_before_the_first_counting_the_page_says_so(desk: Instance) -> None:
    page = await get(desk)
    found = await ask(desk)

    assert "Rien n’est encore compté." in text_of(page)
    assert '<th scope="row">' not in page.text, "that isn’t zero"
    assert (found["channels"], found["all"], found["counted_at"]) == ([], None, None)


async def test_the_desk_leads_to_it_and_each_column_to_its_meaning(desk: Instance) -> None:
    await desk.hear(session := session_state())
    await desk.register(session.id)
    await count(desk)
    start, page = await desk.client.get("/guichet"), await get(desk)

    assert f'href="{PATH}"' in start.text
    for column in ("registrations", "seated", "answer", "opening"):
        assert f'href="#definition-{column}"' in page.text
        assert f'id="definition-{column}"' in page.text


async def test_what_is_not_offered_is_no_choice(desk: Instance) -> None:
    page = await get(desk, mois="2031-13", volet="x", sujet="broderie\0")

    assert '<option value="" selected>' in page.text


async def test_it_speaks_english(desk: Instance, shift_clock: ShiftClock) -> None:
    await a_full_session(desk, shift_clock)

    page = text_of(await get(desk, mois="tout", lang="en"))

    assert "Equity report" in page
    assert "With help, half of the requests come within 4 h after opening; by the Web, within 1 min." in page


async def test_the_report_is_for_the_team(instance: Instance) -> None:
    page, answer = await instance.client.get(PATH), await instance.client.get(API)

    assert (page.status_code, page.headers["location"].partition("?")[0]) == (303, "/connexion")
    assert answer.status_code == 401


@pytest.mark.parametrize("query", ["from=hier", "to=2031-13", "stream=x", "modality=x", "theme=a%00b"])
async def test_a_question_that_says_nothing_is_refused(desk: Instance, query: str) -> None:
    assert (await desk.client.get(f"{API}?{query}")).status_code == 422


@pytest.mark.parametrize(
    ("month", "expected"),
    [("", ("2026-02", "2027-01")), ("tout", ("", "")), ("2031-05", ("2031-05", "2031-05"))],
)
def test_the_months_of_a_choice(month: str, expected: tuple[str, str]) -> None:
    assert desk_equity.span(month, datetime(2027, 1, 31, 12, tzinfo=UTC)) == expected
