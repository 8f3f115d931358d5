"""The draw as people meet it: the form, their own page, the public page, the desk, and the recipe."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ADMIN_TOKEN
from tests.registrations.conftest import Instance, ShiftClock
from tests.registrations.test_drawing import (
    HOUR,
    MINUTE,
    cancel_draw,
    crowd,
    draw_of,
    drawn_session,
    hold,
    look,
)
from tests.registrations.test_pages import form_of, registered, send, text_of
from tests.registrations.test_pages_own import look as own_page

RECIPE = Path("docs/draw.md")


async def get(instance: Instance, path: str, **options: Any) -> httpx.Response:
    page = await instance.client.get(path, **options)
    assert page.status_code == 200, page.text
    return page


async def test_the_form_says_that_nobody_needs_to_hurry(instance: Instance) -> None:
    session = drawn_session()
    await instance.hear(session)

    page = await form_of(instance, session.id)

    text = text_of(page)
    assert "faire sa demande tôt ou tard avant ce moment donne la même chance." in text
    assert "Je participe au tirage" in text
    assert "complet" not in text
    assert "aucune place cette année" not in text, "this draw has no lots for a first time"
    answer = await send(instance, session.id, page)
    assert answer.status_code == 303
    assert [state["status"] for state in await registered(instance)] == ["pending"]


async def test_who_says_so_is_in_more_lots(instance: Instance, shift_clock: ShiftClock) -> None:
    session = drawn_session(lots=3)
    await instance.hear(session)
    page = await form_of(instance, session.id)
    assert "Je n’ai encore eu aucune place cette année." in text_of(page)

    assert (await send(instance, session.id, page, first_time="1")).status_code == 303
    await shift_clock(instance.database, HOUR)
    await look(instance)

    assert (await draw_of(instance, session))["tickets"] == [[1, 3]]
    late = text_of(await form_of(instance, session.id))
    assert "aucune place cette année" not in late, "it is too late for it"
    assert "Votre demande passera après celles du tirage" in late


async def test_ones_own_page_says_the_ticket_then_the_rank(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = drawn_session(seats=1)
    await instance.hear(session)
    people = await crowd(instance, session, 2)

    before = text_of(await own_page(instance, people[1]))
    await shift_clock(instance.database, HOUR)
    await look(instance)
    late = (await instance.register(session.id, 9)).json()
    closed = text_of(await own_page(instance, people[1]))
    too_late = text_of(await own_page(instance, late))
    await shift_clock(instance.database, 10 * MINUTE)
    await look(instance)
    after = [text_of(await own_page(instance, person)) for person in people]

    assert "Votre demande attend le tirage au sort du" in before
    assert "Votre numéro dans le tirage est le 2." in before
    assert "Vous n’avez rien à faire." in before
    assert "Le résultat arrive dans quelques minutes." in closed
    assert "elle passe après les autres" in too_late
    result = {ticket: rank for ticket, rank, _ in (await draw_of(instance, session))["result"]}
    for ticket, text in enumerate(after, start=1):
        assert f"Au tirage, votre numéro {ticket} a eu le rang {result[ticket]}." in text
        assert ("Vous avez une place." in text) == (result[ticket] == 1)


async def test_who_waits_for_the_draw_can_leave_it(instance: Instance) -> None:
    session = drawn_session()
    await instance.hear(session)
    (person,) = await crowd(instance, session, 1)
    path = f"/mon-inscription/{person['manage_token']}"

    question = text_of(await get(instance, f"{path}/annuler"))
    await instance.client.post(f"{path}/annuler")

    assert "Votre demande sort du tirage au sort." in question
    assert (await instance.show(person))["status"] == "cancelled"


async def test_the_public_page_shows_each_step_and_nobodys_name(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = drawn_session(seats=1, lots=2)
    await instance.hear(session)
    people = await crowd(instance, session, 3)
    path = f"/tirage/{session.id}"

    opened = await get(instance, path)
    await shift_clock(instance.database, HOUR)
    await look(instance)
    await instance.client.delete(
        f"/api/registrations/v1/registrations/{people[0]['id']}", headers=instance.staff
    )
    closed = await get(instance, path)
    await shift_clock(instance.database, 10 * MINUTE)
    await look(instance)
    drawn = await get(instance, path)

    found = await draw_of(instance, session)
    assert "même chance" in text_of(opened)
    assert found["commitment"] in opened.text
    assert "Le tirage est fermé." in text_of(closed)
    assert found["tickets_hash"] in closed.text
    assert found["seed"] not in opened.text + closed.text
    assert found["seed"] in drawn.text
    assert "3 demandes étaient dans le tirage. 1 demande a eu sa place." in text_of(drawn)
    assert "Demande retirée avant le tirage" in text_of(drawn)
    for page in (opened, closed, drawn):
        assert "Aline" not in page.text
        assert "example.org" not in page.text
        assert people[1]["confirmation_number"] not in page.text


async def test_a_session_without_a_draw_has_no_such_page(instance: Instance) -> None:
    session = drawn_session()
    page = await instance.client.get(f"/tirage/{session.id}", headers={"Accept": "text/html"})

    assert page.status_code == 404


async def test_a_cancelled_draw_says_why_on_every_page(instance: Instance) -> None:
    session = drawn_session()
    await instance.hear(session)
    (person,) = await crowd(instance, session, 1)

    await cancel_draw(instance, session)

    public = text_of(await get(instance, f"/tirage/{session.id}"))
    own = text_of(await own_page(instance, person))
    form = await instance.client.get(f"/inscription/{session.id}")
    for text in (public, own):
        assert "Le tirage au sort de cet atelier a été annulé." in text
        assert "La formatrice est malade." in text
    assert "Cet atelier ne prend plus de demande." in text_of(form)
    seats = await instance.seats(session.id)
    assert (seats["available"], seats["draw"]) == (0, "cancelled")


async def test_no_seat_is_announced_as_free_before_the_draw(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = drawn_session(seats=3)
    await instance.hear(session)
    await crowd(instance, session, 1)

    before = await instance.seats(session.id)
    await hold(instance, shift_clock)
    after = await instance.seats(session.id)

    assert [(seats["capacity"], seats["available"], seats["draw"]) for seats in (before, after)] == [
        (3, 0, "to_come"),
        (3, 2, "drawn"),
    ]


# The desk.


@pytest.fixture
def desk(instance: Instance) -> Instance:
    instance.client.headers["Authorization"] = f"Bearer {ADMIN_TOKEN}"
    return instance


async def test_the_desk_sees_who_is_in_the_draw_and_gives_it_up_with_a_reason(desk: Instance) -> None:
    session = drawn_session()
    await desk.hear(session)
    await crowd(desk, session, 2)
    path = f"/guichet/seances/{session.id}/tirage"

    shown = text_of(await get(desk, path))
    unsaid = await desk.client.post(f"{path}/annuler", data={"reason": " "})
    done = await desk.client.post(f"{path}/annuler", data={"reason": "Salle inondée"})
    again = await desk.client.post(f"{path}/annuler", data={"reason": "Encore"})

    assert "2 demandes attendent le tirage" in shown
    assert "Aline Tremblay 2" in shown
    assert (unsaid.status_code, "Écrivez pourquoi" in text_of(unsaid)) == (422, True)
    assert (done.status_code, done.headers["location"]) == (303, path)
    assert again.status_code == 409
    assert "Le tirage est annulé. Raison : Salle inondée." in text_of(await get(desk, path))
    assert (await desk.causes())[2:] == ["draw_cancelled"] * 2


async def test_somebody_who_phones_has_the_same_chance(desk: Instance) -> None:
    session = drawn_session(lots=2)
    await desk.hear(session)
    page = await get(desk, f"/guichet/seances/{session.id}/inscrire")
    assert "donne la même chance" in text_of(page)

    fields = {"name": "Lise", "phone": "418 555-0123", "channel": "phone", "first_time": "1"}
    found = re.search(r'name="form_id"[^>]*? value="([^"]*)"', page.text)
    assert found is not None
    answer = await desk.client.post(
        f"/guichet/seances/{session.id}/inscrire",
        data=fields | {"form_id": found[1], "language": "fr"},
    )

    said = text_of(await get(desk, answer.headers["location"]))
    assert "Votre demande attend le tirage au sort" in said
    assert [state["status"] for state in await registered(desk)] == ["pending"]


async def test_the_line_says_what_the_draw_decided(desk: Instance, shift_clock: ShiftClock) -> None:
    session = drawn_session(seats=1)
    await desk.hear(session)
    await crowd(desk, session, 3)
    await hold(desk, shift_clock)

    text = text_of(await get(desk, f"/guichet/seances/{session.id}/attente"))

    assert "Rang 2 au tirage. Personne n’est avant elle." in text
    assert "Rang 3 au tirage. Le tirage a placé une personne avant elle." in text


# Checked from outside.


async def test_the_recipe_recomputes_a_draw_from_what_is_public_alone(
    instance: Instance, shift_clock: ShiftClock, tmp_path: Path
) -> None:
    session = drawn_session(seats=2, lots=3)
    await instance.hear(session)
    for number in range(1, 12):
        wish = {"consents": ["first_time_draw"]} if number % 2 else {}
        await instance.register(session.id, number, **wish)
    await hold(instance, shift_clock)
    found = await draw_of(instance, session)

    said = recipe(tmp_path, found)

    assert said.returncode == 0, said.stderr
    assert said.stdout.split() == [str(n) for ticket, rank, _ in found["result"] for n in (rank, ticket)]
    assert {lots for _, lots in found["tickets"]} == {1, 3}
    for lie in (
        {"seed": "00" * 32},
        {"tickets": found["tickets"][1:]},
        {"result": found["result"][::-1]},
        {"rules": found["rules"] | {"first_time_lots": 1}},
    ):
        assert recipe(tmp_path, found | lie).returncode != 0, lie


def recipe(folder: Path, draw: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    """As the documentation tells to run it: by Python alone, in a folder of one's own."""
    code = re.search(r"```python\n(.*?)```", RECIPE.read_text(), flags=re.DOTALL)
    assert code is not None
    assert len([line for line in code[1].splitlines() if line]) == 10, "ten lines, as promised"
    (folder / "check.py").write_text(code[1])
    (folder / "draw.json").write_text(json.dumps(draw))
    return subprocess.run(
        [sys.executable, "-I", "check.py", "draw.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
