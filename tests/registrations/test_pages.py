"""The registration form, as people meet it: with room, without, too early, too late, and with mistakes."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.messaging.contracts import HeldSeats, SeatCounts, SessionAccess, SessionState, WaitlistRule
from tests.registrations.conftest import VENUE, Instance, person, session_state

TYPED = {
    "name": "Nguyễn",
    "route": "email",
    "email": "nguyen@example.org",
    "phone": "418 555-0123",
    "language": "fr",
}


def text_of(page: httpx.Response) -> str:
    """What the page says, as one line of words; no-break spaces read as spaces."""
    body = re.sub(r"<(script|style).*?</\1>", " ", page.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def value_of(page: httpx.Response, name: str) -> str:
    """The value of the input called `name`."""
    found = re.search(rf'name="{name}"[^>]*? value="([^"]*)"', page.text)
    assert found is not None, f"no input {name}"
    return unescape(found[1])


async def form_of(instance: Instance, session_id: UUID) -> httpx.Response:
    page = await instance.client.get(f"/inscription/{session_id}")
    assert page.status_code == 200, page.text
    return page


async def send(
    instance: Instance, session_id: UUID, form: httpx.Response | str, **fields: Any
) -> httpx.Response:
    """Send the form of a page, or with this form id, filled in with `fields` over what `TYPED` holds."""
    form_id = form if isinstance(form, str) else value_of(form, "form_id")
    data = {"form_id": form_id} | TYPED | fields
    return await instance.client.post(
        f"/inscription/{session_id}", data={k: v for k, v in data.items() if v is not None}
    )


async def registered(instance: Instance) -> list[dict[str, Any]]:
    """Everybody who registered, once each."""
    states = {state["id"]: state for state in await instance.announced()}
    return list(states.values())


async def signed_up(instance: Instance, session: SessionState, **fields: Any) -> httpx.Response:
    """The own page of somebody who has just sent the form."""
    answer = await send(instance, session.id, await form_of(instance, session.id), **fields)
    assert answer.status_code == 303, answer.text
    own = await instance.client.get(answer.headers["location"])
    assert own.status_code == 200, own.text
    return own


async def test_a_form_that_is_sent_leads_to_the_persons_own_page(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)

    page = await form_of(instance, session.id)
    answer = await send(instance, session.id, page)

    assert "12 places libres" in text_of(page)
    assert answer.status_code == 303
    assert re.fullmatch(r"/mon-inscription/[\w-]+", answer.headers["location"])
    own = await instance.client.get(answer.headers["location"])
    assert "Vous avez une place." in text_of(own)
    (state,) = await registered(instance)
    assert (state["name"], state["channel"], state["language"]) == ("Nguyễn", "web", "fr")
    assert state["contact"]["email"] == "nguyen@example.org"
    assert state["contact"]["phone"] is None, "only the chosen way counts"


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"route": "mobile", "mobile": "(418) 555-0199"}, {"mobile": "+14185550199"}),
        ({"route": "phone", "phone": "418 555-0142 poste 3"}, {"phone": "+14185550142;ext=3"}),
        ({"route": "postal", "postal": "12, rue X\r\nQuébec"}, {"postal": "12, rue X\nQuébec"}),
        ({"route": None, "email": "", "phone": "418 555-0142"}, {"phone": "+14185550142"}),
    ],
)
async def test_each_way_of_being_reached_is_enough(
    instance: Instance, fields: dict[str, str], stored: dict[str, str]
) -> None:
    session = session_state()
    await instance.hear(session)

    await signed_up(instance, session, **fields)

    (state,) = await registered(instance)
    assert {name: value for name, value in state["contact"].items() if value} == stored


async def test_a_double_click_is_one_registration(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    page = await form_of(instance, session.id)

    answers = [await send(instance, session.id, page) for _click in range(3)]

    assert len({answer.headers["location"] for answer in answers}) == 1
    assert (await instance.seats(session.id))["confirmed"] == 1


async def test_the_back_button_and_another_name_asks_whether_it_is_another_person(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    page = await form_of(instance, session.id)
    mine = await send(instance, session.id, page)

    question = await send(instance, session.id, page, name="Paul")
    yes = {name: value_of(question, name) for name in ("form_id", "another_person", *TYPED)}
    answers = [await instance.client.post(f"/inscription/{session.id}", data=yes) for _click in range(2)]

    assert question.status_code == 409
    assert "Est-ce une autre personne ?" in text_of(question)
    assert "Nguyễn" not in question.text, "the question says nothing of the other registration"
    assert [answer.status_code for answer in answers] == [303, 303]
    assert len({mine.headers["location"], *(answer.headers["location"] for answer in answers)}) == 2
    assert (await instance.seats(session.id))["confirmed"] == 2


async def test_the_same_name_and_contact_asks_and_no_is_a_way_out(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    await instance.register(session.id, 1)

    question = await send(
        instance,
        session.id,
        await form_of(instance, session.id),
        name=person(1)["name"],
        email="Aline1@example.org",
        accommodations=["large_print", "step_free"],
        accommodation_consent="1",
    )
    no = await instance.client.get(f"/inscription/{session.id}/deja-inscrit")

    assert question.status_code == 409
    assert question.text.count('name="accommodations"') == 2, "every answer goes along"
    assert f"/inscription/{session.id}/deja-inscrit" in question.text
    assert no.status_code == 200
    assert "418 555-0142" in text_of(no)
    assert "Aline" not in no.text
    assert (await instance.seats(session.id))["confirmed"] == 1


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"name": " "}, "name", "Écrivez votre nom."),
        ({"name": "x" * 10_000}, "name", "Écrivez au plus 200 caractères."),
        ({"route": "", "email": "", "phone": ""}, "route", "Choisissez comment vous joindre."),
        ({"email": ""}, "email", "Écrivez votre courriel, ou choisissez une autre façon de vous joindre."),
        ({"email": "nguyen@"}, "email", "Écrivez une adresse comme aline@exemple.ca."),
        ({"route": "phone", "phone": "abc"}, "phone", "Écrivez un numéro de téléphone comme 418 555-0142."),
        ({"accommodations": "large_print"}, "accommodation_consent", "Dites si nous pouvons garder"),
        ({"target_groups": "aines_65"}, "statistics_consent", "Dites si nous pouvons compter"),
        ({"language": "tlh"}, "language", "Choisissez une des réponses"),
    ],
)
async def test_a_mistake_is_told_at_its_field_and_nothing_is_lost(
    instance: Instance, fields: dict[str, str], field: str, message: str
) -> None:
    session = session_state()
    await instance.hear(session)
    page = await form_of(instance, session.id)

    answer = await send(instance, session.id, page, **fields)

    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert f'id="{field}"' in answer.text, "the summary leads to the field"
    assert text_of(answer).count(message) >= 2, "in the summary and above the field"
    assert "<title>Erreur" in answer.text
    typed = TYPED | fields
    for name in ("name", "email", "phone"):
        assert value_of(answer, name) == typed[name].strip()
    assert value_of(answer, "form_id") == value_of(page, "form_id")
    assert await registered(instance) == []


async def test_mistakes_come_in_the_order_of_the_page(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)

    answer = await send(
        instance, session.id, await form_of(instance, session.id), name="", email="x", language="xx"
    )

    summary = answer.text[answer.text.index("error-summary") :]
    assert re.findall(r'<li><a href="#(\w+)"', summary) == ["name", "email", "language"]


@pytest.mark.parametrize("form_id", ["", "x", "é", "A" * 43, None])
async def test_a_form_without_its_id_comes_back_filled_in_with_a_fresh_one(
    instance: Instance, form_id: str | None
) -> None:
    session = session_state()
    await instance.hear(session)

    answer = await instance.client.post(
        f"/inscription/{session.id}", data=TYPED | ({"form_id": form_id} if form_id is not None else {})
    )

    assert answer.status_code == 422
    assert value_of(answer, "name") == "Nguyễn"
    assert (await send(instance, session.id, answer)).status_code == 303


async def test_the_id_of_another_sessions_form_is_not_taken(instance: Instance) -> None:
    one, other = session_state(), session_state()
    await instance.hear(one, other)
    page = await form_of(instance, one.id)

    answer = await send(instance, other.id, page)

    assert answer.status_code == 422
    assert await registered(instance) == []


async def test_needs_and_profile_are_kept_with_their_consents_and_only_then(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)

    await signed_up(
        instance,
        session,
        accommodations=["large_print", "invented"],
        accommodation_consent="1",
        statistics_consent="1",
    )

    async with instance.database.reading() as tx:
        connection = await tx.connection()
        needs = (await connection.exec_driver_sql("select need from accommodation_request")).scalars().all()
        consents = (await connection.exec_driver_sql("select purpose from consent")).scalars().all()
    assert needs == ["large_print"]
    assert consents == ["accommodation_data"], "a consent without an answer isn't kept"


async def test_the_form_asks_nothing_but_what_is_needed(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)

    page = await form_of(instance, session.id)

    assert "checked" not in "".join(re.findall(r'<input type="checkbox"[^>]*>', page.text))
    assert not re.search(r'name="(newsletter|organisation|role|seat_kind)"', page.text)
    assert 'href="/vie-privee"' in page.text
    assert "<script" not in page.text
    assert len(page.content) < 20_000


async def test_a_professional_session_asks_for_whom_one_works(instance: Instance) -> None:
    session = session_state(stream="pro")
    await instance.hear(session)
    page = await form_of(instance, session.id)

    missing = await send(instance, session.id, page)
    done = await send(instance, session.id, page, organisation="Bibliothèque de Lévis", role="volunteer")

    assert missing.status_code == 422
    assert 'href="#organisation"' in missing.text
    assert 'href="#role"' in missing.text
    assert done.status_code == 303


async def test_a_professional_session_asks_the_same_of_programs(instance: Instance) -> None:
    session = session_state(stream="pro")
    await instance.hear(session)

    missing = await instance.register(session.id)
    done = await instance.register(session.id, organisation="Bibliothèque de Lévis", role="staff")

    assert missing.status_code == 422
    assert [error["field"] for error in missing.json()["errors"]] == ["organisation", "role"]
    assert done.status_code == 201


async def test_a_hybrid_session_asks_where_and_tells_the_room_of_each(instance: Instance) -> None:
    session = session_state(modality="hybrid", capacity=SeatCounts(on_site=1, online=2))
    link = SessionAccess(session_id=session.id, online_url="https://video.example.org/x")
    await instance.hear(session, link)
    for number in (1, 2):
        await instance.register(session.id, number, seat_kind="on_site")

    page = await form_of(instance, session.id)
    unsaid = await send(instance, session.id, page)
    done = await send(instance, session.id, page, seat_kind="online")

    assert "Complet : une personne attend déjà." in text_of(page)
    assert 'href="#seat_kind"' in unsaid.text
    assert "https://video.example.org" not in page.text
    own = await instance.client.get(done.headers["location"])
    assert "https://video.example.org/x" in own.text


async def test_a_full_session_offers_the_wait_and_three_other_dates(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    others = [session_state(in_days=days, title=f"Autre date {days}") for days in (3, 4, 5, 6)]
    await instance.hear(session, *others)
    for number in range(4):
        await instance.register(session.id, number)

    page = await form_of(instance, session.id)
    own = await signed_up(instance, session)

    said = text_of(page)
    assert "Cet atelier est complet." in said
    assert "il y a 3 personnes avant vous" in said
    assert len(re.findall(r'<a href="/seances/', page.text)) == 3
    assert "J’attends une place" in said
    assert "Vous êtes en attente : 3 personnes avant vous." in text_of(own)


async def test_seats_kept_for_the_telephone_are_said(instance: Instance) -> None:
    held = (HeldSeats(seat_kind="on_site", channel="phone", seats=1),)
    session = session_state(capacity=SeatCounts(on_site=1), held_seats=held)
    await instance.hear(session)

    page = await form_of(instance, session.id)

    assert "Une place est gardée pour les personnes qui appellent" in text_of(page)


OPENING = datetime(2099, 1, 5, 14, 0, tzinfo=UTC)
CLOSED = {
    "cancelled": ({"status": "cancelled", "cancel_reason": "Tempête"}, "Raison : Tempête."),
    "held": ({"status": "held"}, "Cet atelier est terminé."),
    "over": ({"in_days": -1}, "Cet atelier est terminé."),
    "closed": ({"closes_at": datetime(2020, 1, 1, tzinfo=UTC)}, "Les inscriptions sont terminées."),
    "early": ({"opens_at": OPENING}, "ouvrent le lundi 5 janvier 2099, à 9 h."),
    "drop_in": ({"registration_modes": ("drop_in",)}, "aucune inscription n’est nécessaire"),
    "by_phone": ({"registration_modes": ("phone",)}, "Appelez-nous : 418 555-0142"),
    "no_link": ({"modality": "online", "capacity": SeatCounts(online=5)}, "ouvrent bientôt"),
    "line_full": (
        {"capacity": SeatCounts(), "waitlist": WaitlistRule(limit=0)},
        "complet, et sa liste d’attente aussi",
    ),
}


@pytest.mark.parametrize("state", CLOSED)
async def test_what_cannot_be_had_is_said_with_a_next_step(instance: Instance, state: str) -> None:
    changes, words = CLOSED[state]
    session, other = session_state(**changes), session_state(title="Une autre date", in_days=3)
    await instance.hear(other)
    form_id = value_of(await form_of(instance, other.id), "form_id")
    await instance.hear(session)

    page = await instance.client.get(f"/inscription/{session.id}")
    sent = await send(instance, session.id, form_id)

    assert (page.status_code, sent.status_code) == (200, 409)
    for answer in (page, sent):
        assert words in text_of(answer)
        assert 'name="name"' not in answer.text
        assert 'href="/"' in answer.text
    if state in ("cancelled", "held", "over", "closed", "line_full"):
        assert f"/seances/{other.id}" in page.text
    assert await registered(instance) == []


async def test_the_venues_telephone_comes_first_where_the_web_is_no_way(instance: Instance) -> None:
    venue = VENUE.model_copy(update={"phone": "418 641-6301"})
    session = session_state(registration_modes=("contact_venue", "phone"), venue=venue)
    await instance.hear(session)

    said = text_of(await instance.client.get(f"/inscription/{session.id}"))

    said = said[said.index("On s’inscrit à cet atelier") :]
    assert said.index("418 641-6301") < said.index("418 555-0142")


async def test_a_session_that_closes_while_the_form_is_filled_in_says_so(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    page = await form_of(instance, session.id)
    await instance.hear(session.model_copy(update={"status": "cancelled"}), version=2)

    answer = await send(instance, session.id, page)

    assert answer.status_code == 409
    assert "Cet atelier est annulé." in text_of(answer)


async def test_an_unknown_session_leads_to_the_calendar(instance: Instance) -> None:
    for address in (uuid4(), "pas-une-seance", "%00"):
        page = await instance.client.get(f"/inscription/{address}")
        assert page.status_code == 404
        assert 'href="/"' in page.text
    sent = await send(instance, uuid4(), "x")
    assert sent.status_code == 404


async def test_a_refusal_leaves_nothing_behind(instance: Instance) -> None:
    """A full line is found out after seats were settled: none of it may stay."""
    session = session_state(capacity=SeatCounts(on_site=1), waitlist=WaitlistRule(limit=1))
    await instance.hear(session)
    page = await form_of(instance, session.id)
    for number in (1, 2):
        await instance.register(session.id, number)
    before = await instance.announced()

    answer = await send(instance, session.id, page)

    assert answer.status_code == 409
    assert await instance.announced() == before


HOSTILE: list[dict[str, Any]] = [
    {"content": b"x" * 10_000_000, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    {"content": b"name=%00", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    {"content": b"name=%FF", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    {"json": {"name": "x"}},
    {"data": {f"field{n}": "x" for n in range(500)}},
    {"data": TYPED | {"surprise": "<script>alert(1)</script>"}},
    {"data": TYPED | {"name": "<script>alert(1)</script>"}},
    {"data": TYPED | {"accommodations": ["x" * 5000] * 50, "target_groups": ["'"] * 50}},
    {"data": TYPED | {"seat_kind": "roof", "role": "king", "organisation": "x" * 5000}},
    {"data": TYPED | {"name": "\u202e\u0007"}},
    {"data": TYPED, "headers": {"Origin": "https://evil.example"}},
]


@pytest.mark.parametrize("stream", ["public", "pro"])
@pytest.mark.parametrize("sent", HOSTILE)
async def test_whatever_is_sent_breaks_nothing(instance: Instance, sent: dict[str, Any], stream: str) -> None:
    session = session_state(stream=stream)
    await instance.hear(session)

    answer = await instance.client.post(f"/inscription/{session.id}", **sent)

    assert 400 <= answer.status_code < 500, answer.text
    assert "<script>alert" not in answer.text
    assert await registered(instance) == []


async def test_the_form_speaks_english_and_so_will_the_messages(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)

    page = await instance.client.get(f"/inscription/{session.id}?lang=en")
    answer = await send(instance, session.id, page, language=None)

    assert "12 free seats" in text_of(page)
    assert "Your name" in text_of(page)
    assert answer.status_code == 303
    (state,) = await registered(instance)
    assert state["language"] == "en"
