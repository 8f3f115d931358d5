"""Waiting for many sessions, as people and the team meet it: by HTTP, without JavaScript."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from services.registrations.retention import erase_due
from tests.registrations.conftest import Instance, ShiftClock, bearer, problem, session_state
from tests.registrations.test_waits import WAITS, answer, begin, full

DAY = datetime.now(UTC).date()


def form_id(page: str) -> str:
    found = re.search(r'name="form_id" value="([^"]+)"', page)
    assert found, page
    return unescape(found.group(1))


async def filled(instance: Instance, path: str = "/attendre", **changes: Any) -> dict[str, Any]:
    """The form as somebody fills it in; None leaves a field out."""
    page = await instance.client.get(path, headers=instance.staff if "guichet" in path else {})
    assert page.status_code == 200, page.text
    fields: dict[str, Any] = {
        "form_id": form_id(page.text),
        "theme": "courriel",
        "where": "regions",
        "regions": "03",
        "first_day": DAY.isoformat(),
        "last_day": (DAY + timedelta(days=60)).isoformat(),
        "name": "Odile Bouchard",
        "route": "email",
        "email": "odile@example.org",
        "language": "fr",
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


async def send(instance: Instance, fields: dict[str, Any], path: str = "/attendre") -> httpx.Response:
    headers = {"Origin": "http://testserver"} | (instance.staff if "guichet" in path else {})
    return await instance.client.post(path, data=fields, headers=headers)


def text(answer: httpx.Response) -> str:
    bare = unescape(re.sub(r"<[^>]+>", " ", answer.text)).replace("\u00a0", " ")
    return " ".join(bare.split())


async def test_the_form_leads_to_the_page_of_the_wait_with_all_its_stops(instance: Instance) -> None:
    session, _ = await full(instance)
    fields = await filled(instance)

    first, again = await send(instance, fields), await send(instance, fields)

    assert first.status_code == again.status_code == 303
    assert first.headers["location"] == again.headers["location"], "a double click is one wait"
    own = await instance.client.get(first.headers["location"])
    assert "Vous êtes sur la liste d’attente d’une séance." in text(own)
    assert "Vous êtes en attente : personne avant vous." in text(own)
    assert own.headers["cache-control"] == "no-store"
    assert session.title in text(own)
    link = re.search(r'href="(http://[^"]+/mon-inscription/[^"]+)"', own.text)
    assert link
    stop = await instance.client.get(link.group(1))
    assert "Vous attendez aussi une place à d’autres séances." in text(stop)
    assert first.headers["location"] in stop.text


async def test_what_the_page_before_knows_is_filled_in(instance: Instance) -> None:
    await instance.hear(session_state())
    page = (await instance.client.get("/attendre?sujet=courriel&region=03&du=2030-02-01")).text
    assert re.search(r'value="courriel" selected', page)
    assert re.search(r'name="where" value="regions" checked', page)
    assert re.search(r'value="03" checked', page)
    assert 'value="2030-02-01"' in page


async def test_somebody_waits_near_a_place(instance: Instance) -> None:
    await full(instance)
    fields = await filled(instance, where="near", near="Québec", km="25", regions=None)
    own = await instance.client.get((await send(instance, fields)).headers["location"])
    assert "À 25 km ou moins de Québec" in text(own)
    assert "d’une séance" in text(own)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"theme": ""}, "Choisissez un sujet."),
        ({"where": None}, "Dites où vous pourriez aller."),
        ({"regions": None}, "Choisissez au moins une région."),
        ({"where": "near", "near": ""}, "Écrivez une ville ou un code postal."),
        ({"where": "near", "near": "Zzyzx"}, "Nous ne trouvons pas ce lieu."),
        ({"last_day": "demain"}, "Choisissez le dernier jour."),
        ({"last_day": "2020-01-01"}, "Choisissez un jour qui n’est pas passé."),
        ({"name": ""}, "Écrivez votre nom."),
        ({"email": ""}, "Écrivez votre courriel"),
        ({"accommodations": "large_print"}, "Dites si nous pouvons garder les besoins choisis"),
        ({"form_id": "faux"}, "Cette page était ouverte depuis longtemps."),
    ],
)
async def test_what_is_missing_is_said_and_what_was_typed_is_kept(
    instance: Instance, changes: dict[str, Any], message: str
) -> None:
    answer = await send(instance, await filled(instance, **changes))
    assert answer.status_code == 422
    assert message in text(answer)
    if "name" not in changes:
        assert 'value="Odile Bouchard"' in answer.text


async def test_who_waits_already_is_asked_whether_it_is_somebody_else(instance: Instance) -> None:
    await send(instance, await filled(instance))
    asked = await send(instance, await filled(instance))
    assert asked.status_code == 409
    assert "Est-ce une autre personne ?" in text(asked)
    fields = {
        name: unescape(value)
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', asked.text)
    }
    assert (await send(instance, fields)).status_code == 303
    assert (await instance.client.get("/attendre/deja-note")).status_code == 200


async def test_one_form_sent_ten_times_at_once_is_one_wait(instance: Instance) -> None:
    fields = await filled(instance)
    answers = await asyncio.gather(*(send(instance, fields) for _ in range(10)))
    assert [answer.status_code for answer in answers] == [303] * 10
    assert len({answer.headers["location"] for answer in answers}) == 1


async def test_the_form_sent_again_for_somebody_else_is_a_wait_of_its_own_once_they_say_so(
    instance: Instance,
) -> None:
    fields = await filled(instance)
    first = await send(instance, fields)
    spouse = fields | {"name": "Léon Bouchard"}
    assert (await send(instance, spouse)).status_code == 409

    theirs = await send(instance, spouse | {"another_person": "1"})
    again = await send(instance, spouse | {"another_person": "1"})

    assert theirs.status_code == again.status_code == 303
    assert theirs.headers["location"] == again.headers["location"] != first.headers["location"]
    assert "Léon Bouchard" in text(await instance.client.get(theirs.headers["location"]))


async def test_an_offer_is_answered_on_its_own_page_and_then_the_wait_says_so(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    here = (await send(instance, await filled(instance))).headers["location"]
    own = await instance.client.get(here)
    assert "Une place est gardée pour vous." in text(own)
    link = re.search(r'class="button" href="http://[^/]+(/mon-inscription/[^"]+)"', own.text)
    assert link
    stop = await instance.client.get(link.group(1))
    assert "Si vous prenez cette place, vos autres attentes se terminent." in text(stop)
    assert (await instance.seats(session.id))["confirmed"] == 0, "looking takes nothing"

    await send(instance, {}, f"{link.group(1)}/accepter")

    assert "Votre attente est terminée." in text(await instance.client.get(here))
    assert (await instance.seats(session.id))["confirmed"] == 1


async def test_the_person_ends_the_wait_after_one_question(instance: Instance) -> None:
    session, _ = await full(instance)
    here = (await send(instance, await filled(instance))).headers["location"]
    question = await instance.client.get(f"{here}/terminer")
    assert "Vous quittez toutes les listes d’attente de cette demande." in text(question)
    assert (await instance.seats(session.id))["waitlisted"] == 1
    assert (await send(instance, {}, f"{here}/terminer")).headers["location"] == here
    assert "Vous n’attendez plus aucune place." in text(await instance.client.get(here))
    assert (await instance.seats(session.id))["waitlisted"] == 0
    assert (await instance.client.get(f"{here}/terminer")).status_code == 303


async def test_a_link_that_is_none_says_so(instance: Instance) -> None:
    assert (await instance.client.get("/mon-attente/abc")).status_code == 404
    mine = (await instance.register((await full(instance))[0].id, 3)).json()
    answer = await instance.client.get(f"/mon-attente/{mine['manage_token']}")
    assert answer.status_code == 404, "a registration's link opens no wait"


async def test_full_sessions_lead_to_the_form(instance: Instance) -> None:
    session, _ = await full(instance)
    page = await instance.client.get(f"/inscription/{session.id}")
    assert "/attendre?sujet=courriel&amp;region=03" in page.text


async def test_the_desk_notes_shows_and_ends_a_wait(instance: Instance) -> None:
    session, _ = await full(instance)
    path = "/guichet/attentes/nouvelle"
    fields = await filled(instance, path, channel="phone", route=None, email=None, phone="418 555-0142")
    done = await send(instance, fields, path)
    assert done.status_code == 303, text(done)
    here = done.headers["location"]
    shown = await instance.client.get(here, headers=instance.staff)
    assert "418 555-0142" in text(shown)
    assert session.title in text(shown)
    assert "Odile Bouchard" in text(await instance.client.get("/guichet/attentes", headers=instance.staff))
    line = await instance.client.get(f"/guichet/seances/{session.id}/attente", headers=instance.staff)
    assert "Attend une place à plusieurs séances" in text(line)

    again = await send(instance, await filled(instance, path, **(fields | {"form_id": None})), path)
    assert again.status_code in (409, 422)
    assert (await instance.client.get(f"{here}/terminer", headers=instance.staff)).status_code == 200
    no_reason = await send(instance, {"by": "staff"}, f"{here}/terminer")
    assert "Écrivez la raison : la personne la lira." in text(no_reason)
    await send(instance, {"by": "staff", "reason": "Projet terminé"}, f"{here}/terminer")
    assert (await instance.seats(session.id))["waitlisted"] == 0
    last = [state for state in await instance.announced() if state["causes"]][-1]
    assert (last["causes"][-1]["cause"], last["causes"][-1]["reason"]) == ("wait_ended", "Projet terminé")


async def test_the_desk_replaces_the_link(instance: Instance) -> None:
    wait = await begin(instance)
    here = f"/mon-attente/{wait['manage_token']}"
    assert (await instance.client.get(here)).status_code == 200
    await send(instance, {}, f"/guichet/attentes/{wait['id']}/lien")
    assert (await instance.client.get(here)).status_code == 410


async def test_only_the_team_sees_waits_at_the_desk(instance: Instance) -> None:
    answer = await instance.client.get("/guichet/attentes", headers={"Accept": "application/json"})
    assert problem(answer) in ("unauthorized", "sign-in")


@pytest.mark.parametrize("asked", ["bouchard", "ODILE", "odile1@example.org", "555-0142"])
async def test_the_desk_finds_a_wait_once_not_each_of_its_lines(instance: Instance, asked: str) -> None:
    for days in (5, 6, 7):
        await full(instance, in_days=days)
    wait = await begin(instance, contact={"email": "odile1@example.org", "mobile": "418 555-0142"})
    assert len(wait["stops"]) == 3

    page = await send(instance, {"q": asked}, "/guichet/recherche")

    assert "1 attente de plusieurs séances trouvée" in text(page)
    assert f'href="/guichet/attentes/{wait["id"]}"' in page.text
    assert "inscription trouvée" not in text(page), "the wait leads to its lines"
    assert "Aucune inscription trouvée" not in text(page)


async def test_the_numbers_of_a_wait_and_of_its_lines_lead_straight_there(instance: Instance) -> None:
    await full(instance)
    wait = await begin(instance)
    (stop,) = wait["stops"]
    of_the_stop = (await instance.show({"id": stop["registration_id"]}))["confirmation_number"]

    for number, path in (
        (wait["confirmation_number"], f"/guichet/attentes/{wait['id']}"),
        (of_the_stop, f"/guichet/inscriptions/{stop['registration_id']}"),
    ):
        found = await send(instance, {"q": number}, "/guichet/recherche")
        assert (found.status_code, found.headers["location"]) == (303, path)


async def test_a_seat_that_came_of_a_wait_is_found_beside_it(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    wait = await begin(instance)
    await answer(instance, wait, session, "accept")

    page = await send(instance, {"q": "odile bouchard"}, "/guichet/recherche")

    assert "1 inscription trouvée" in text(page)
    assert "A une place" in text(page)


async def test_who_was_erased_from_a_wait_is_found_no_more(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    wait = await begin(instance)
    await instance.client.delete(f"{WAITS}/{wait['id']}", headers=bearer(wait))
    await shift_clock(instance.database, timedelta(days=instance.settings.identity_days + 1))
    await erase_due(instance.database, instance.settings)

    for asked in ("odile", wait["confirmation_number"]):
        page = await send(instance, {"q": asked}, "/guichet/recherche")
        assert "Aucune inscription trouvée" in text(page)
