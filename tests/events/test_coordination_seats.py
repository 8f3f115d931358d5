"""The plan of seats on the coordinators' pages: held per channel, released on a ladder, shown by kind."""

from uuid import UUID

import pytest
import sqlalchemy as sa
from httpx import AsyncClient

from libs.database import Database
from services.events.models import SessionSeats
from tests.events.coordinating import a_session, id_in, session_row
from tests.events.html_forms import follow, form_of, send

SESSIONS = "/coordination/seances"


async def test_a_ladder_of_a_hybrid_session_is_entered_without_javascript(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    form = form_of(await browser.get(f"{SESSIONS}/nouvelle"), "/nouvelle")
    form = form_of(await send(browser, form, "Chercher", venue_q="felix-leclerc"), "/nouvelle")
    assert "releases/2/at" not in form
    form = form_of(await send(browser, form, "Ajouter des dates", modality="hybrid"), "/nouvelle")
    assert "releases/4/at" in form
    assert form["modality"] == "hybrid"
    dates = ("2027-01-27T09:00", "2027-02-01T09:00", "2027-02-01T09:00")
    lines = {f"releases__{n}__at": at for n, at in zip((0, 1, 3), dates, strict=True)}
    lines |= {"releases__0__seats": "2", "releases__1__seats": "3", "releases__3__seats": "4"}
    answer = await send(
        browser, form, "brouillon", title="Hybride", venue_id=str(venue_id), date="2027-02-03",
        online_url="https://visio.example.org/1", capacity__on_site="10", capacity__online="20",
        held_seats__on_site__phone="5", held_seats__online__desk="4",
        releases__3__seat_kind="online", releases__3__channel="desk", **lines,
    )  # fmt: skip
    page = await follow(browser, answer)
    row = await session_row(database, id_in(answer))
    assert [(r["at"][:10], r["seat_kind"], r["channel"], r["seats"]) for r in row.releases] == [
        ("2027-01-27", "on_site", "phone", 2),
        ("2027-02-01", "on_site", "phone", 3),
        ("2027-02-01", "online", "desk", 4),
    ]
    assert "5 pour le téléphone (sur place)" in page.text
    assert "4 de moins pour le comptoir (en ligne)" in page.text
    # More lines for the session as it stands: nothing of it is changed by looking.
    form = form_of(await browser.get(f"{SESSIONS}/{row.id}/modifier"), "/modifier")
    form = form_of(await send(browser, form, "Ajouter des dates"), "/modifier")
    assert "releases/7/at" in form
    saved = await send(browser, form, "Enregistrer")
    assert "fait=unchanged" in saved.headers["location"]
    one_more = await send(
        browser, form, "Enregistrer", capacity__on_site="12", held_seats__on_site__partner="1",
        releases__7__at="2027-02-02T09:00", releases__7__seats="1", releases__7__channel="partner",
    )  # fmt: skip
    assert one_more.status_code == 303, one_more.text
    assert len((await session_row(database, row.id)).releases) == 4


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        (
            {"held_seats__on_site__desk": "6"},
            "held_seats/on_site/phone",
            "trop de places gardées : 11 sur 10",
        ),
        ({"held_seats__online__paper": "21"}, "held_seats/online/paper", "trop de places gardées"),
        ({"held_seats__online__phone": "-1"}, "held_seats/online/phone", "au moins 0"),
        ({"held_seats__online__phone": "9" * 25}, "held_seats/online/phone", "au plus 10000"),
        ({"releases__1__at": "2027-02-03T13:31"}, "releases/1/at", "avant le début"),
        ({"releases__1__at": ""}, "releases/1/at", "Dites quand"),
        ({"releases__1__at": "2027-01-01T09:00"}, "releases/1/at", "après l’ouverture"),
        ({"releases__1__seats": ""}, "releases/1/seats", "au moins 1"),
        ({"releases__1__seats": "6"}, "releases/1/seats", "trop de places : 6 sur 5"),
        ({"releases__1__channel": "paper"}, "releases/1/channel", "Aucune place n’est gardée"),
        ({"releases__1__channel": "pigeon"}, "releases/1/channel", "réponses proposées"),
        ({"releases__1__seat_kind": "online"}, "releases/1/channel", "Aucune place n’est gardée"),
        (
            {"releases__0__at": "2027-02-01T09:00", "releases__0__seats": "1", "releases__1__seats": "1"},
            "releases/1/at",
            "déjà là",
        ),
    ],
)
async def test_a_plan_of_seats_that_cant_be_is_refused_where_it_stands(
    browser: AsyncClient, database: Database, venue_id: UUID, typed: dict[str, str], field: str, message: str
) -> None:
    form = form_of(await browser.get(f"{SESSIONS}/nouvelle"), "/nouvelle")
    form = form_of(await send(browser, form, "Chercher", venue_q="felix-leclerc"), "/nouvelle")
    good = {
        "title": "Hybride", "modality": "hybrid", "venue_id": str(venue_id), "date": "2027-02-03",
        "online_url": "https://visio.example.org/1", "opens_at": "2027-01-04T09:00",
        "capacity__on_site": "10", "capacity__online": "20", "held_seats__on_site__phone": "5",
        "releases__1__at": "2027-02-01T09:00", "releases__1__seats": "5",
    }  # fmt: skip
    page = await send(browser, form, "brouillon", **good | typed)
    text = page.text.replace("\u00a0", " ")
    assert page.status_code == 422
    assert message in text
    assert f'href="#{field}"' in text
    assert '<details class="panel" open>' in text
    async with database.reading() as db:
        assert (await db.execute(sa.text("select count(*) from session"))).scalar_one() == 0
    # What was typed is kept, and saved once it is right.
    form = form_of(page, "/nouvelle")
    assert form["held_seats/online/phone"] == typed.get("held_seats__online__phone", "")
    right = {name: good.get(name, "") for name in typed}
    right |= {"releases__1__channel": "phone", "releases__1__seat_kind": "on_site"}
    saved = await send(browser, form, "brouillon", **good | right)
    assert saved.status_code == 303


async def test_fewer_seats_than_are_held_is_refused_where_the_number_stands(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(
        database, venue_id, modality="hybrid", online_url="https://visio.example.org/1",
        capacity={"on_site": 5, "online": 5}, held_seats={"online": {"phone": 3}},
    )  # fmt: skip
    form = form_of(await browser.get(f"{SESSIONS}/{session_id}"), "/places")
    page = await send(browser, form, capacity__online="2")
    assert page.status_code == 422
    assert "trop de places gardées : 3 sur 2" in page.text.replace("\u00a0", " ")
    assert 'href="#capacity/online"' in page.text
    assert (await session_row(database, session_id)).capacity_online == 5


async def test_a_hybrid_session_shows_its_seats_by_kind(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    hybrid = await a_session(
        database, venue_id, modality="hybrid", online_url="https://visio.example.org/1",
        capacity={"on_site": 5, "online": 7},
    )  # fmt: skip
    caption = "Places sur place et en ligne"
    assert caption not in (await browser.get(f"{SESSIONS}/{hybrid}")).text
    one_kind = await a_session(database, venue_id)
    for session_id, kinds in ((hybrid, {"on_site": 5, "online": 7}), (one_kind, {"on_site": 12})):
        counts = {"confirmed": 1, "offered": 1, "held": 0, "waitlisted": 0}
        by_kind = {kind: counts | {"capacity": n, "available": n - 2} for kind, n in kinds.items()}
        async with database.transaction() as db:
            db.add(
                SessionSeats(
                    session_id=session_id, epoch=1, version=1, capacity=12, confirmed=2, offered=2, held=0,
                    available=8, waitlisted=0, by_kind=by_kind,
                )
            )  # fmt: skip
    page = (await browser.get(f"{SESSIONS}/{hybrid}")).text.replace("\u00a0", " ").replace("&nbsp;", " ")
    assert caption in page
    assert "2 / 5" in page
    assert "2 / 7" in page
    assert caption not in (await browser.get(f"{SESSIONS}/{one_kind}")).text
