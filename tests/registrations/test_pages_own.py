"""The person's own page: a sentence for every state, buttons that do what they say, links that do nothing."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import icalendar
import pytest

from libs.messaging.contracts import SeatCounts, SessionAccess
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, bearer, session_state
from tests.registrations.test_pages import text_of


def own_path(registration: dict[str, Any]) -> str:
    return f"/mon-inscription/{registration['manage_token']}"


async def look(instance: Instance, registration: dict[str, Any]) -> httpx.Response:
    page = await instance.client.get(own_path(registration))
    assert page.status_code == 200, page.text
    return page


async def press(instance: Instance, registration: dict[str, Any], action: str) -> httpx.Response:
    """Press a button of the page, and follow where it leads."""
    answer = await instance.client.post(f"{own_path(registration)}/{action}")
    assert (answer.status_code, answer.headers["location"]) == (303, own_path(registration))
    return await look(instance, registration)


async def line_of(instance: Instance, session_id: UUID, count: int) -> list[dict[str, Any]]:
    return [(await instance.register(session_id, number)).json() for number in range(1, count + 1)]


async def test_the_page_says_what_one_has_when_and_where(instance: Instance) -> None:
    session = session_state(bring="Vos lunettes")
    await instance.hear(session)
    mine = (await instance.register(session.id)).json()

    page = await look(instance, mine)

    said = text_of(page)
    assert "Vous avez une place." in said
    assert "Vos lunettes" in said
    assert "1100, route de l’Église" in said
    assert " ".join(mine["confirmation_number"].replace("-", "–")) in said, "spaced, to be read aloud"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert "aline1@example.org" not in page.text, "a link may be passed on; the address stays out of it"


async def test_looking_changes_nothing(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    first, second = await line_of(instance, session.id, 2)
    await instance.client.delete(f"/api/registrations/v1/registrations/{first['id']}", headers=bearer(first))
    before = await instance.announced()

    for action in ("annuler", "accepter", "refuser"):
        for method in ("GET", "HEAD"):
            answer = await instance.client.request(method, f"{own_path(second)}/{action}")
            assert answer.status_code in (200, 303)

    assert await instance.announced() == before


async def test_who_gives_up_waiting_is_not_thanked_for_a_seat(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    _first, second = await line_of(instance, session.id, 2)
    page = text_of(await press(instance, second, "annuler"))
    assert "Vous n’attendez plus de place." in page
    assert "place est libre" not in page


async def test_giving_up_is_asked_once_and_done_by_a_button(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    first, second = await line_of(instance, session.id, 2)

    question = await instance.client.get(f"{own_path(first)}/annuler")
    page = await press(instance, first, "annuler")
    again = await press(instance, first, "annuler")

    assert "Votre place va à la personne suivante." in text_of(question)
    assert "Votre inscription est annulée, comme vous l’avez demandé." in text_of(page)
    assert f"/inscription/{session.id}" in page.text, "the way back"
    assert again.status_code == 200
    assert "Une place s’est libérée pour vous. Répondez" in text_of(await look(instance, second))
    assert (await instance.causes()).count("cancelled_by_person") == 1


async def test_an_offer_is_taken(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    first, second, third = await line_of(instance, session.id, 3)
    assert "Vous êtes en attente : une personne avant vous." in text_of(await look(instance, third))
    await press(instance, first, "annuler")

    offered = await look(instance, second)
    taken = await press(instance, second, "accepter")
    again = await press(instance, second, "accepter")

    assert "Je prends la place" in text_of(offered)
    assert "Non merci" in text_of(offered)
    for page in (taken, again):
        assert "Vous avez une place." in text_of(page)
    assert "Vous êtes en attente : personne avant vous." in text_of(await look(instance, third))


async def test_an_offer_is_left_to_the_next(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    other = session_state(in_days=4)
    await instance.hear(session, other)
    first, second, third = await line_of(instance, session.id, 3)
    await press(instance, first, "annuler")

    left = await press(instance, second, "refuser")
    too_late = await press(instance, second, "accepter")

    for page in (left, too_late):
        assert "Vous avez laissé la place." in text_of(page)
        assert f"/seances/{other.id}" in page.text
    assert "Je prends la place" in text_of(await look(instance, third))


async def test_an_offer_that_ended_says_so_and_what_to_do(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, other = session_state(capacity=SeatCounts(on_site=1)), session_state(in_days=12)
    await instance.hear(session, other)
    first, second = await line_of(instance, session.id, 2)
    await press(instance, first, "annuler")
    await shift_clock(instance.database, timedelta(hours=25))

    unrecorded = await look(instance, second)
    await Timers(instance.database, instance.settings).act_on_what_is_due()
    ended = await look(instance, second)

    assert "Répondez tout de suite." in text_of(unrecorded), "it can be taken until its end is recorded"
    assert "La place n’est plus gardée pour vous." in text_of(ended)
    assert f"/seances/{other.id}" in ended.text
    assert f"/inscription/{session.id}" in ended.text
    assert "418 555-0142" in text_of(ended)


async def test_a_cancelled_session_proposes_other_dates(instance: Instance) -> None:
    session = session_state()
    others = [session_state(in_days=days) for days in (3, 4, 5, 6)]
    await instance.hear(session, *others)
    mine, _next = await line_of(instance, session.id, 2)

    cancelled = session.model_copy(update={"status": "cancelled", "cancel_reason": "Tempête de neige"})
    await instance.hear(cancelled, version=2)
    page = await look(instance, mine)

    said = text_of(page)
    assert "Cet atelier est annulé. Raison : Tempête de neige." in said
    assert "Voici 3 autres dates" in said
    assert page.text.count('<a href="/seances/') == 3
    assert "annuler" not in page.text, "nothing is left to give up"


async def test_what_staff_cancelled_is_told_with_their_reason(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    mine = (await instance.register(session.id)).json()
    path = f"/api/registrations/v1/registrations/{mine['id']}/cancel"
    body = {"reason": "Vous étiez inscrite deux fois"}
    assert (await instance.client.post(path, headers=bearer(mine), json=body)).status_code == 401
    await instance.client.post(path, headers=instance.staff, json=body)

    said = text_of(await look(instance, mine))

    assert "Nous avons annulé votre inscription. Raison : Vous étiez inscrite deux fois." in said


async def test_a_moved_session_says_what_was_before(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    mine = (await instance.register(session.id)).json()
    days = {
        name: getattr(session, name) + timedelta(days=1)
        for name in ("starts_at", "ends_at", "starts_at_utc", "ends_at_utc")
    }
    await instance.hear(session.model_copy(update=days), version=2)

    said = text_of(await look(instance, mine))

    assert "Attention : cet atelier a été déplacé. Avant : " in said


async def test_a_session_that_is_over_says_so(instance: Instance, shift_clock: ShiftClock) -> None:
    session, other = session_state(capacity=SeatCounts(on_site=1)), session_state(in_days=40)
    await instance.hear(session, other)
    mine, waiting = await line_of(instance, session.id, 2)
    await shift_clock(instance.database, timedelta(days=11))

    over, unlucky = await look(instance, mine), await look(instance, waiting)

    assert "Cet atelier est terminé." in text_of(over)
    assert "Aucune place ne s’est libérée à temps." in text_of(unlucky)
    for page in (over, unlucky):
        assert f"/seances/{other.id}" in page.text
        assert "/annuler" not in page.text


@pytest.mark.parametrize(
    ("status", "words"),
    [("attended", "Vous avez participé"), ("absent", "noté votre absence"), ("excused", "excusée")],
)
async def test_afterwards_the_page_says_what_was_noted(instance: Instance, status: str, words: str) -> None:
    session = session_state()
    await instance.hear(session)
    mine = (await instance.register(session.id)).json()
    async with instance.database.transaction() as tx:
        connection = await tx.connection()
        await connection.exec_driver_sql("update registration set status = $1", (status,))

    assert words in text_of(await look(instance, mine))


async def test_the_room_link_is_for_people_with_a_seat(instance: Instance) -> None:
    session = session_state(modality="online", venue=None, capacity=SeatCounts(online=1))
    link = "https://video.example.org/salle"
    await instance.hear(session, SessionAccess(session_id=session.id, online_url=link))
    first, second = await line_of(instance, session.id, 2)

    assert link in (await look(instance, first)).text
    assert link not in (await look(instance, second)).text
    gone = await press(instance, first, "annuler")
    assert link not in gone.text


async def test_the_calendar_file_has_the_invitations_identity(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    mine = (await instance.register(session.id)).json()
    path = f"{own_path(mine)}/calendrier.ics"

    file = await instance.client.get(path)
    await press(instance, mine, "annuler")
    gone = await instance.client.get(path)

    assert file.headers["content-type"].startswith("text/calendar")
    states = await instance.announced()
    for answer, state, status in ((file, states[0], "CONFIRMED"), (gone, states[-1], "CANCELLED")):
        calendar = icalendar.Calendar.from_ical(answer.text)
        (event,) = calendar.walk("VEVENT")
        assert calendar["METHOD"] == "PUBLISH"
        assert (event["UID"], event["SEQUENCE"]) == (state["uid"], state["sequence"])
        assert event["STATUS"] == status
        assert event.decoded("DTSTART") == session.starts_at_utc
        assert "ATTENDEE" not in event


async def test_who_waits_has_nothing_for_the_calendar_yet(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    _first, second = await line_of(instance, session.id, 2)

    answer = await instance.client.get(f"{own_path(second)}/calendrier.ics")

    assert answer.status_code == 404
    assert "calendrier.ics" not in (await look(instance, second)).text


@pytest.mark.parametrize("token", ["x", "é", "A" * 43, "A" * 5000, "..%2F..", "%00"])
@pytest.mark.parametrize("page", ["", "/annuler", "/accepter", "/calendrier.ics"])
async def test_a_broken_link_is_a_page_with_the_telephone(instance: Instance, token: str, page: str) -> None:
    answer = await instance.client.get(f"/mon-inscription/{token}{page}")

    assert answer.status_code == 404
    assert "418 555-0142" in text_of(answer)


async def test_a_replaced_link_is_gone_and_says_what_to_do(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    mine = (await instance.register(session.id)).json()
    await instance.client.post(
        f"/api/registrations/v1/registrations/{mine['id']}/revoke-links", headers=instance.staff
    )

    page = await instance.client.get(own_path(mine))
    act = await instance.client.post(f"{own_path(mine)}/annuler")

    assert (page.status_code, act.status_code) == (410, 410)
    assert "418 555-0142" in text_of(page)
    assert (await instance.show(mine))["status"] == "confirmed"


async def test_another_site_cannot_press_the_buttons(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    mine = (await instance.register(session.id)).json()

    answer = await instance.client.post(
        f"{own_path(mine)}/annuler", headers={"Origin": "https://evil.example"}
    )

    assert answer.status_code == 403
    assert (await instance.show(mine))["status"] == "confirmed"


async def test_the_page_speaks_the_language_of_the_messages_until_one_chooses(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    mine = (await instance.register(session.id, language="en")).json()

    first = await instance.client.get(own_path(mine))
    english = await instance.client.get(first.headers["location"])
    french = await instance.client.get(f"{own_path(mine)}?lang=fr")
    kept = await instance.client.get(own_path(mine))

    assert first.status_code == 303
    assert "You have a seat." in text_of(english)
    assert "Vous avez une place." in text_of(french)
    assert "Vous avez une place." in text_of(kept)
