"""Transferring somebody to another session at the desk, and what they see of it themselves."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.messaging.contracts import (
    HeldSeats,
    SeatCounts,
    SessionAccess,
    SessionState,
    VenueFacts,
    WaitlistRule,
)
from services.registrations import commands
from tests.registrations.conftest import Instance, problem, session_state
from tests.registrations.test_pages import text_of, value_of

API = "/api/registrations/v1"
REASON = "La salle est trop loin pour elle"
LEVIS = VenueFacts(
    id=UUID(int=8), name="Bibliothèque de Lévis", municipality="Lévis", latitude=46.80, longitude=-71.18
)
ALMA = VenueFacts(
    id=UUID(int=9), name="Bibliothèque d’Alma", municipality="Alma", latitude=48.55, longitude=-71.65
)


@pytest.fixture
def desk(instance: Instance) -> Instance:
    """The instance, its client signed in as staff."""
    instance.client.headers.update(instance.staff)
    return instance


def path_of(registration: dict[str, Any]) -> str:
    return f"/guichet/inscriptions/{registration['id']}/transfert"


async def registered(
    desk: Instance, session: SessionState, number: int = 1, **changes: Any
) -> dict[str, Any]:
    answer = await desk.register(session.id, number, **changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def ask(desk: Instance, registration: dict[str, Any], session: SessionState) -> httpx.Response:
    page = await desk.client.get(path_of(registration), params={"vers": str(session.id)})
    assert page.status_code == 200, page.text
    return page


async def confirm(
    desk: Instance, registration: dict[str, Any], question: httpx.Response, **fields: str
) -> httpx.Response:
    """Send what the question's form holds, with a reason."""
    data = {name: value_of(question, name) for name in ("version", "session_id", "may_wait")}
    return await desk.client.post(path_of(registration), data=data | {"reason": REASON} | fields)


async def own(desk: Instance, registration: dict[str, Any]) -> httpx.Response:
    return await desk.client.get(f"/mon-inscription/{registration['manage_token']}")


async def status_of(desk: Instance, registration: dict[str, Any]) -> str:
    return str((await desk.show(registration))["status"])


async def test_somebody_is_transferred_and_both_links_lead_to_the_new_registration(desk: Instance) -> None:
    here = session_state(title="Ici", capacity=SeatCounts(on_site=1))
    there = session_state(title="Là-bas", venue=LEVIS)
    await desk.hear(here, there)
    mine = await registered(desk, here)
    waiter = await registered(desk, here, 2)

    question = await ask(desk, mine, there)
    answer = await confirm(desk, mine, question)
    say = await desk.client.get(answer.headers["location"])

    asked = text_of(question)
    assert "La personne aura une place à l’autre séance." in asked
    assert "Sa place ici va tout de suite à la personne suivante." in asked
    assert "La personne en sera prévenue par courriel." in asked
    assert "Vous avez une place." in text_of(say)
    assert await status_of(desk, mine) == "cancelled"
    assert await status_of(desk, waiter) == "offered"
    assert (await desk.seats(there.id))["confirmed"] == 1

    old = await own(desk, mine)
    said = text_of(old)
    assert "Votre inscription est maintenant à l’atelier « Là-bas »." in said
    assert "Bibliothèque de Lévis" in said
    assert "M’inscrire de nouveau" not in said
    assert (old.headers["cache-control"], old.headers["referrer-policy"]) == ("no-store", "same-origin")
    link = old.text.partition("http://testserver/mon-inscription/")[2].partition('"')[0]
    new = await desk.client.get(f"/mon-inscription/{link}")
    assert "Vous avez une place." in text_of(new)
    assert "Avant, votre inscription était à l’atelier « Ici », " in text_of(new)
    for said in (old.text, new.text, str(await desk.announced())):
        assert REASON not in said
    assert (
        await desk.client.get(f"/mon-inscription/{mine['manage_token']}/calendrier.ics")
    ).status_code == 404

    staff_old = await desk.client.get(f"/guichet/inscriptions/{mine['id']}")
    new_path = answer.headers["location"].removesuffix("/a-dire")
    staff_new = text_of(await desk.client.get(new_path))
    assert new_path in staff_old.text
    assert "Transférée depuis : Ici" in staff_new
    assert f"Transférée à cet atelier, par admin. Raison : {REASON}." in staff_new


async def test_the_oldest_link_leads_to_where_the_person_is_now(desk: Instance) -> None:
    sessions = [session_state(title=title) for title in ("Un", "Deux", "Trois")]
    await desk.hear(*sessions)
    mine = current = await registered(desk, sessions[0])
    for session in sessions[1:]:
        answer = await confirm(desk, current, await ask(desk, current, session))
        current = {"id": answer.headers["location"].split("/")[3]}

    said = text_of(await own(desk, mine))
    history = text_of(await desk.client.get(f"/guichet/inscriptions/{current['id']}"))

    assert "maintenant à l’atelier « Trois »" in said
    assert history.count(REASON) == 2


async def test_a_replaced_link_is_not_found_again_by_an_older_one(desk: Instance) -> None:
    here, there = session_state(), session_state(title="Là-bas")
    await desk.hear(here, there)
    mine = await registered(desk, here)
    answer = await confirm(desk, mine, await ask(desk, mine, there))
    new_path = answer.headers["location"].removesuffix("/a-dire")

    await desk.client.post(f"{new_path}/lien")
    page = await own(desk, mine)

    assert page.status_code == 200
    assert "maintenant à l’atelier « Là-bas »" in text_of(page)
    assert "/mon-inscription/" not in page.text
    assert "Ouvrez le lien de notre dernier message" in text_of(page)
    await desk.client.post(f"/guichet/inscriptions/{mine['id']}/lien")
    assert (await own(desk, mine)).status_code == 410


async def test_the_choices_come_nearest_first_with_what_each_means_for_the_person(desk: Instance) -> None:
    here = session_state(title="Ici")
    full = session_state(title="Complète", capacity=SeatCounts(on_site=1), in_days=12)
    await desk.hear(
        here,
        full,
        session_state(title="Alma", venue=ALMA, in_days=2),
        session_state(title="Lévis", venue=LEVIS, in_days=3, theme="tablette"),
        session_state(title="Ici aussi", in_days=20),
        session_state(title="Pour le personnel", stream="pro"),
        session_state(title="Passée", in_days=-2),
        session_state(title="Annulée", status="cancelled"),
    )
    mine = await registered(desk, here)
    for number in (5, 6):
        await registered(desk, full, number)

    page = text_of(await desk.client.get(path_of(mine)))
    alma = text_of(await desk.client.get(path_of(mine), params={"lieu": "Alma"}))
    tablets = text_of(await desk.client.get(path_of(mine), params={"sujet": "tablette"}))
    nowhere = text_of(await desk.client.get(path_of(mine), params={"lieu": "Zzyzx"}))

    table = page[page.index("Séances près de Bibliothèque Monique-Corriveau") :]
    assert table.index("Lévis") < table.index("Complète") < table.index("Ici aussi") < table.index("Alma")
    for absent in ("Pour le personnel", "Passée", "Annulée"):
        assert absent not in page
    assert "Complet 1 personne en attente Faire attendre" in page
    assert "places libres Donner une place" in page
    assert alma.index("Séances près de Alma, les plus proches d’abord Alma") < alma.index("Ici aussi")
    assert "Complète" not in tablets
    assert "Nous ne connaissons pas ce lieu" in nowhere


async def test_where_no_seat_is_free_a_place_in_the_line_is_offered(desk: Instance) -> None:
    here = session_state(title="Ici")
    there = session_state(title="Là-bas", capacity=SeatCounts(on_site=1))
    await desk.hear(here, there)
    mine = await registered(desk, here)
    for number in (5, 6):
        await registered(desk, there, number)

    question = await ask(desk, mine, there)
    answer = await confirm(desk, mine, question)

    asked = text_of(question)
    assert "Aucune place n’y est libre pour cette personne. Elle attendra là-bas, après 1 personne." in asked
    assert "Oui, attendre à l’autre séance" in asked
    assert answer.status_code == 303
    assert "Vous êtes en attente : une personne avant vous." in text_of(
        await desk.client.get(answer.headers["location"])
    )


async def test_a_seat_that_went_meanwhile_is_not_traded_for_a_place_in_line_unasked(desk: Instance) -> None:
    here = session_state(title="Ici")
    there = session_state(title="Là-bas", capacity=SeatCounts(on_site=1))
    await desk.hear(here, there)
    mine = await registered(desk, here)
    question = await ask(desk, mine, there)
    await registered(desk, there, 5)

    answer = await confirm(desk, mine, question)

    assert answer.status_code == 409
    said = text_of(answer)
    assert "Aucune place n’y est libre en ce moment." in said
    assert "Oui, attendre à l’autre séance" in said
    assert value_of(answer, "reason") == REASON
    assert await status_of(desk, mine) == "confirmed"
    waits = await confirm(desk, mine, answer)
    assert waits.status_code == 303
    assert await status_of(desk, mine) == "cancelled"


async def test_a_held_seat_of_the_persons_channel_is_free_for_them(desk: Instance) -> None:
    held = (HeldSeats(seat_kind="on_site", channel="phone", seats=1),)
    here, there = session_state(), session_state(capacity=SeatCounts(on_site=1), held_seats=held)
    await desk.hear(here, there)
    by_web = await registered(desk, here)
    by_phone = await registered(desk, here, 2, channel="phone")

    assert "Elle attendra là-bas" in text_of(await ask(desk, by_web, there))
    question = await ask(desk, by_phone, there)
    assert "La personne aura une place" in text_of(question)
    assert (await confirm(desk, by_phone, question)).status_code == 303
    assert (await desk.seats(there.id))["confirmed"] == 1


async def test_somebody_from_a_room_may_go_online(desk: Instance) -> None:
    here = session_state()
    there = session_state(modality="online", venue=None, capacity=SeatCounts(online=5))
    await desk.hear(here, there)
    await desk.hear(SessionAccess(session_id=there.id, online_url="https://example.org/salle"))
    mine = await registered(desk, here)

    question = await ask(desk, mine, there)
    answer = await confirm(desk, mine, question)

    assert "Elle participera en ligne, par vidéo." in text_of(question)
    assert answer.status_code == 303
    assert (await desk.seats(there.id))["by_kind"]["online"]["confirmed"] == 1


async def wrong_destinations(desk: Instance, here: SessionState) -> dict[str, SessionState | UUID]:
    """Sessions that nobody can be transferred to, by what a program is told."""
    full = session_state(capacity=SeatCounts(on_site=1), waitlist=WaitlistRule(limit=0))
    twice = session_state()
    found = {
        "same-session": here,
        "session-cancelled": session_state(status="cancelled"),
        "registration-closed": session_state(in_days=-1),
        "session-full": full,
        "already-registered": twice,
    }
    await desk.hear(*(session for session in found.values() if session is not here))
    await registered(desk, full, 8)
    await registered(desk, twice, 1)
    return found | {"session-unknown": uuid4()}


async def test_what_cannot_be_joined_is_said_and_nothing_is_lost(desk: Instance) -> None:
    here = session_state(title="Ici")
    await desk.hear(here, session_state(title="Ouverte"))
    mine = await registered(desk, here)
    version = value_of(await ask(desk, mine, await open_one(desk)), "version")

    for slug, session in (await wrong_destinations(desk, here)).items():
        id_ = str(session if isinstance(session, UUID) else session.id)
        for may_wait in ("", "1"):
            sent = {"version": version, "session_id": id_, "may_wait": may_wait, "reason": REASON}
            page = await desk.client.post(path_of(mine), data=sent)
            assert page.status_code == (404 if slug == "session-unknown" else 409), (slug, may_wait)
            if page.status_code == 409:
                assert "Rien n’a été fait" in text_of(page), slug
                assert "Ouverte" in page.text, "another can be chosen"
        told = await desk.client.post(
            f"{API}/registrations/{mine['id']}/transfer", json={"session_id": id_, "reason": REASON}
        )
        assert problem(told) == slug
        looked = await desk.client.get(path_of(mine), params={"vers": id_})
        assert looked.status_code in (200, 404, 409)

    assert await status_of(desk, mine) == "confirmed"
    assert (await desk.seats(here.id))["confirmed"] == 1


async def open_one(desk: Instance) -> SessionState:
    session = session_state()
    await desk.hear(session)
    return session


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": ""},
        {"reason": "x" * 10_000},
        {"session_id": ""},
        {"session_id": "x"},
    ],
)
async def test_a_mistake_changes_nothing(desk: Instance, fields: dict[str, str]) -> None:
    here = session_state()
    await desk.hear(here)
    mine, there = await registered(desk, here), await open_one(desk)

    answer = await confirm(desk, mine, await ask(desk, mine, there), **fields)

    assert answer.status_code == 422
    assert await status_of(desk, mine) == "confirmed"


async def test_a_transfer_sent_twice_is_done_once(desk: Instance) -> None:
    here = session_state()
    await desk.hear(here)
    mine, there = await registered(desk, here), await open_one(desk)
    question = await ask(desk, mine, there)

    answers = await asyncio.gather(*(confirm(desk, mine, question) for _ in range(3)))

    assert {(answer.status_code, answer.headers.get("location")) for answer in answers} == {
        (303, answers[0].headers["location"])
    }
    assert (await desk.seats(there.id))["confirmed"] == 1


async def test_a_registration_that_changed_meanwhile_is_shown_as_it_is(desk: Instance) -> None:
    here = session_state()
    await desk.hear(here)
    mine, there = await registered(desk, here), await open_one(desk)
    question = await ask(desk, mine, there)
    await desk.client.delete(f"{API}/registrations/{mine['id']}")

    answer = await confirm(desk, mine, question)

    assert answer.status_code == 409
    said = text_of(answer)
    assert "Cette inscription est déjà terminée" in said
    assert "Nous avons annulé votre inscription." in said
    assert (await desk.seats(there.id))["confirmed"] == 0


async def test_two_people_who_cross_both_arrive(desk: Instance) -> None:
    """Each waits for neither: the two sessions are locked in one order."""
    one, other = session_state(capacity=SeatCounts(on_site=2)), session_state(capacity=SeatCounts(on_site=2))
    await desk.hear(one, other)
    first, second = await registered(desk, one), await registered(desk, other, 2)

    async def go(registration: dict[str, Any], session: SessionState) -> None:
        async with desk.database.transaction() as tx:
            await commands.transfer(tx, desk.settings, UUID(registration["id"]), session.id, "x", "admin")

    await asyncio.gather(go(first, other), go(second, one))

    assert [(await desk.seats(session.id))["confirmed"] for session in (one, other)] == [1, 1]


async def test_the_new_and_the_old_page_speak_english(desk: Instance) -> None:
    here, there = session_state(title="Here"), session_state(title="There")
    await desk.hear(here, there)
    mine = await registered(desk, here)
    answer = await confirm(desk, mine, await ask(desk, mine, there))

    old = text_of(await desk.client.get(f"/mon-inscription/{mine['manage_token']}?lang=en"))
    staff = text_of(await desk.client.get(answer.headers["location"].removesuffix("/a-dire") + "?lang=en"))

    assert "Your registration is now for the workshop “There”." in old
    assert "See my new registration" in old
    assert "Transferred from: Here" in staff
