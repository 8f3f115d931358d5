"""The events API as a program meets it."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient, Response

from libs.database import Database
from tests.builders import a_venue, session_fields
from tests.events.conftest import said

SESSIONS = "/api/events/v1/sessions"


async def create(staff: AsyncClient, venue_id: UUID, **changes: Any) -> dict[str, Any]:
    answer = await staff.post(SESSIONS, json=session_fields(venue_id, **changes))
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def published(staff: AsyncClient, venue_id: UUID, **changes: Any) -> dict[str, Any]:
    draft = await create(staff, venue_id, **changes)
    answer = await staff.post(f"{SESSIONS}/{draft['id']}/publish", json={})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def fields_of(answer: Response) -> set[str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["field"] for error in answer.json()["errors"]}


async def test_a_session_is_created_as_a_draft(staff: AsyncClient, venue_id: UUID) -> None:
    body = session_fields(
        venue_id,
        online_url=None,
        region=None,
        tour_id=None,
        capacity={"on_site": 12, "online": 0},
        held_seats={"phone": 2, "desk": 1},
        releases=[{"at": "2027-01-31T09:00", "channel": "phone", "seats": 2}],
        opens_at=None,
        closes_at=None,
        waitlist={"policy": "first_come", "offer_hours": 24},
        registration_modes=["web", "phone"],
    )
    answer = await staff.post(SESSIONS, json=body)
    assert answer.status_code == 201
    created = answer.json()
    assert answer.headers["location"] == f"{SESSIONS}/{created['id']}"
    assert answer.headers["etag"] == '"1"'
    assert created["status"] == "draft"
    assert created["starts_at"] == "2027-02-03T13:30:00-05:00"
    assert created["starts_at_local"] == "2027-02-03T13:30:00"
    assert created["region"] == "03"
    assert created["held_seats"] == {"phone": 2, "desk": 1}
    assert created["releases"] == [
        {"at": "2027-01-31T09:00:00-05:00", "seat_kind": "on_site", "channel": "phone", "seats": 2}
    ]
    assert created["seats"] == {
        "capacity": 12, "confirmed": 0, "offered": 0, "held": 3, "available": 9, "waitlisted": 0,
    }  # fmt: skip


async def test_only_staff_write_and_see_drafts(
    public: AsyncClient, staff: AsyncClient, venue_id: UUID
) -> None:
    assert (await public.post(SESSIONS, json=session_fields(venue_id))).status_code == 401
    draft = await create(staff, venue_id)
    assert (await public.get(f"{SESSIONS}/{draft['id']}")).status_code == 404
    assert (await public.get(SESSIONS, params={"status": "draft"})).status_code == 401
    assert (await public.get(SESSIONS)).json()["items"] == []
    assert (await staff.get(SESSIONS)).json()["items"] == []
    assert [s["id"] for s in (await staff.get(SESSIONS, params={"status": "draft"})).json()["items"]] == [
        draft["id"]
    ]


async def test_a_published_session_is_public_without_what_is_private(
    public: AsyncClient, staff: AsyncClient, database: Database
) -> None:
    body = session_fields(
        None, modality="online", online_url="https://visio.example.org/s/1", staff_notes="Note", region="03"
    )
    draft = (await staff.post(SESSIONS, json=body)).json()
    assert draft["online_url"] == "https://visio.example.org/s/1"
    answer = await staff.post(f"{SESSIONS}/{draft['id']}/publish", json={})
    assert (answer.status_code, answer.json()["status"], answer.json()["version"]) == (200, "published", 2)
    shown = (await public.get(f"{SESSIONS}/{draft['id']}")).json()
    listed = (await public.get(SESSIONS)).json()["items"]
    assert [item["id"] for item in listed] == [draft["id"]]
    for view in (shown, *listed):
        assert not {"online_url", "staff_notes", "trainer_ids", "reach"} & view.keys()
        assert "visio" not in str(view)
    assert shown["capacity"] == {"on_site": 0, "online": 12}
    told = await said(database)
    assert [(m.topic, m.key, m.version) for m in told] == [
        ("session_access", draft["id"], 2),
        ("sessions", draft["id"], 2),
    ]
    assert told[0].payload["online_url"] == "https://visio.example.org/s/1"
    assert "visio" not in str(told[1].payload)
    assert told[1].payload["status"] == "published"


async def test_drafts_are_never_announced(staff: AsyncClient, venue_id: UUID, database: Database) -> None:
    draft = await create(staff, venue_id)
    url = f"{SESSIONS}/{draft['id']}"
    assert (await staff.patch(url, json={"title": "B"}, headers={"If-Match": '"1"'})).status_code == 200
    assert await said(database) == []


def ladder(held: dict[str, int], *steps: dict[str, Any]) -> dict[str, Any]:
    return {"held_seats": held, "releases": list(steps)}


def step(**changes: Any) -> dict[str, Any]:
    return {"at": "2027-01-31T09:00", "channel": "phone", "seats": 2} | changes


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"title": ""}, {"title"}),
        ({"title": None}, {"title"}),
        ({"title": "a\x00b"}, {"title"}),
        ({"title": "x" * 201}, {"title"}),
        ({"colour": "red"}, {"colour"}),
        ({"theme": "cuisine"}, {"theme"}),
        ({"stream": "vip"}, {"stream"}),
        ({"capacity": -1}, {"capacity/on_site"}),
        ({"capacity": True}, {"capacity"}),
        ({"capacity": 0}, {"capacity"}),
        ({"capacity": "12"}, {"capacity"}),
        ({"capacity": 10**30}, {"capacity/on_site"}),
        ({"capacity": {"online": 4}}, {"capacity/online", "capacity"}),
        ({"held_seats": {"phone": 13}}, {"held_seats"}),
        ({"held_seats": {"pigeon": 1}}, {"held_seats/on_site/pigeon"}),
        ({"held_seats": {"phone": -2}}, {"held_seats/on_site/phone"}),
        ({"held_seats": {"phone": 10**30}}, {"held_seats/on_site/phone"}),
        ({"held_seats": {"phone": "2"}}, {"held_seats/on_site/phone"}),
        ({"held_seats": {"online": {"phone": 1}}}, {"held_seats/online"}),
        ({"held_seats": {"phone": 1, "on_site": {"desk": 1}}}, {"held_seats/on_site/on_site"}),
        ({"held_seats": {"terrace": {"phone": 1}}}, {"held_seats/terrace"}),
        (ladder({}, step()), {"releases/0/channel"}),
        (ladder({"phone": 2}, step(seats=3)), {"releases/0/seats"}),
        (ladder({"phone": 2}, step(seats=0)), {"releases/0/seats"}),
        (ladder({"phone": 2}, step(seats=-1)), {"releases/0/seats"}),
        (ladder({"phone": 2}, step(seats=10**30)), {"releases/0/seats"}),
        (ladder({"phone": 2}, step(channel="pigeon")), {"releases/0/channel"}),
        (ladder({"phone": 2}, step(seat_kind="online")), {"releases/0/seat_kind"}),
        (ladder({"phone": 2}, step(), step()), {"releases/1/at", "releases/1/seats"}),
        (ladder({"phone": 2}, step(seats=1), step(seats=1)), {"releases/1/at"}),
        (ladder({"phone": 2}, step(), step(at="2027-02-01T09:00", seats=1)), {"releases/1/seats"}),
        (
            ladder({"phone": 2}, step(at="2027-01-20T09:00")) | {"opens_at": "2027-01-20T09:01"},
            {"releases/0/at"},
        ),
        (ladder({"phone": 2}, *(step(seats=1) for _ in range(1000))), {"releases"}),
        ({"releases": {"phone": 2}}, {"releases"}),
        (
            {
                "held_seats": {"phone": 2},
                "releases": [{"at": "2027-02-04T09:00", "channel": "phone", "seats": 2}],
            },
            {"releases/0/at"},
        ),
        ({"ends_at": "2027-02-03T13:30"}, {"ends_at"}),
        ({"ends_at": "2027-02-05T13:30"}, {"ends_at"}),
        ({"starts_at": 1801679400}, {"starts_at"}),
        ({"starts_at": "3 février"}, {"starts_at"}),
        ({"starts_at": "2027-02-03T13:30+02:00"}, {"starts_at"}),
        ({"timezone": "America/Montreal2"}, {"timezone"}),
        ({"timezone": "../../etc/passwd"}, {"timezone"}),
        ({"venue_id": str(uuid4())}, {"venue_id"}),
        ({"venue_id": "ici"}, {"venue_id"}),
        ({"venue_id": None}, {"venue_id"}),
        ({"online_url": "https://example.org"}, {"online_url"}),
        ({"modality": "online"}, {"venue_id", "online_url"}),
        ({"region": "99"}, {"region"}),
        ({"region": "06"}, {"region"}),
        ({"waitlist": {"offer_hours": 0}}, {"waitlist/offer_hours"}),
        ({"party": {"limit": 13}}, {"party/limit"}),
        ({"party": {"gather_hours": -1}}, {"party/gather_hours"}),
        ({"waitlist": {"policy": "lottery"}}, {"waitlist/policy"}),
        ({"waitlist": {"policy": "draw"}}, {"waitlist/draw"}),
        ({"registration_modes": []}, {"registration_modes"}),
        ({"opens_at": "2027-02-04T00:00"}, {"opens_at"}),
        ({"tour_id": str(uuid4())}, {"tour_id"}),
    ],
)
async def test_bad_input_names_its_field(
    staff: AsyncClient, venue_id: UUID, changes: dict[str, Any], fields: set[str]
) -> None:
    assert fields_of(await staff.post(SESSIONS, json=session_fields(venue_id) | changes)) == fields


async def test_all_missing_fields_are_said_at_once(staff: AsyncClient) -> None:
    assert {"title", "stream", "modality", "starts_at", "ends_at", "timezone", "capacity"} <= fields_of(
        await staff.post(SESSIONS, json={})
    )


async def test_errors_are_in_the_persons_language(staff: AsyncClient, venue_id: UUID) -> None:
    body = session_fields(venue_id, ends_at="2027-02-03T13:00")
    french = await staff.post(SESSIONS, json=body)
    english = await staff.post(SESSIONS, json=body, headers={"Accept-Language": "en-CA"})
    assert french.json()["errors"][0]["message"] == "La fin doit venir après le début."
    assert english.json()["errors"][0]["message"] == "The end must come after the start."


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'"x"',
        b"{",
        b'{"title": "\xff"}',
        b"null",
        b"[" * 5000,
        b'{"a": 1' + b"0" * 5000 + b"}",
        b'{"\\ud800": 1}',
        b'{"\\u0000": 1}',
        b'{"title": "\\ud800"}',
        b'{"capacity": NaN}',
    ],
    ids=range(12),
)
async def test_a_body_that_is_no_object_is_refused(staff: AsyncClient, raw: bytes) -> None:
    answer = await staff.post(SESSIONS, content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_refused_plan_changes_nothing(staff: AsyncClient, venue_id: UUID, database: Database) -> None:
    session = await published(staff, venue_id, **ladder({"phone": 2}, step()))
    before = await said(database)
    url = f"{SESSIONS}/{session['id']}"
    for changes, field in (
        ({"capacity": 1}, "held_seats"),
        ({"held_seats": {"phone": 1}}, "releases/0/seats"),
        ({"held_seats": {}}, "releases/0/channel"),
        ({"opens_at": "2027-02-02T09:00"}, "releases/0/at"),
        ({"title": "Nouveau", "releases": [step(at="2027-02-03T13:31")]}, "releases/0/at"),
    ):
        answer = await staff.patch(url, json=changes, headers={"If-Match": '"2"'})
        assert fields_of(answer) == {field}, changes
        english = await staff.patch(
            url, json=changes, headers={"If-Match": '"2"', "Accept-Language": "en"}, params={"lang": "en"}
        )
        assert english.json()["errors"][0]["message"] != answer.json()["errors"][0]["message"]
    assert (await staff.get(url)).json() == session
    assert await said(database) == before


async def test_a_ladder_of_several_steps_is_planned(
    staff: AsyncClient, venue_id: UUID, database: Database
) -> None:
    steps = [step(at="2027-01-27T09:00", seats=2), step(at="2027-02-01T09:00", seats=3)]
    session = await published(staff, venue_id, **ladder({"phone": 5}, *steps))
    assert [(item["at"], item["seats"]) for item in session["releases"]] == [
        ("2027-01-27T09:00:00-05:00", 2),
        ("2027-02-01T09:00:00-05:00", 3),
    ]
    told = (await said(database, "sessions"))[-1].payload
    assert [(item["channel"], item["seats"]) for item in told["releases"]] == [("phone", 2), ("phone", 3)]
    # Moved before both dates, the two steps are one.
    answer = await staff.post(
        f"{SESSIONS}/{session['id']}/reschedule",
        json={"starts_at": "2027-01-20T13:30", "ends_at": "2027-01-20T15:30"},
    )
    assert [(item["at"], item["seats"]) for item in answer.json()["releases"]] == [
        ("2027-01-20T13:30:00-05:00", 5)
    ]


async def test_hybrid_sessions_count_both_kinds(staff: AsyncClient, venue_id: UUID) -> None:
    body = session_fields(venue_id, modality="hybrid", online_url="https://visio.example.org/2")
    assert fields_of(await staff.post(SESSIONS, json=body)) == {"capacity"}
    body |= {
        "capacity": {"on_site": 8, "online": 20},
        "held_seats": {"on_site": {"desk": 2}, "online": {"phone": 3}},
        "releases": [{"at": "2027-02-01T09:00", "seat_kind": "online", "channel": "phone", "seats": 3}],
    }
    created = await staff.post(SESSIONS, json=body)
    assert created.status_code == 201, created.text
    assert created.json()["held_seats"] == {"on_site": {"desk": 2}, "online": {"phone": 3}}
    assert created.json()["seats"]["available"] == 23
    too_many = body | {"held_seats": {"on_site": {"desk": 9}, "online": {"phone": 21}}}
    assert fields_of(await staff.post(SESSIONS, json=too_many)) == {"held_seats/on_site", "held_seats/online"}
    without_kind = body | {"releases": [{"at": "2027-02-01T09:00", "channel": "phone", "seats": 3}]}
    assert fields_of(await staff.post(SESSIONS, json=without_kind)) == {"releases"}
    assert fields_of(await staff.post(SESSIONS, json=body | {"held_seats": {"phone": 1}})) >= {"held_seats"}


async def test_patch_needs_the_version_that_was_read(staff: AsyncClient, venue_id: UUID) -> None:
    draft = await create(staff, venue_id)
    url = f"{SESSIONS}/{draft['id']}"
    assert (await staff.patch(url, json={"title": "A"})).status_code == 428
    first = await staff.patch(url, json={"title": "A"}, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    stale = await staff.patch(url, json={"title": "B"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert stale.json()["current"]["title"] == "A"
    assert stale.json()["current"]["version"] == 2
    assert (await staff.patch(url, json={"title": "C"}, headers={"If-Match": "x"})).status_code == 412
    assert (await staff.patch(url, json={"title": "C"}, headers={"If-Match": "*"})).json()["title"] == "C"
    weak = await staff.patch(url, json={"title": "D"}, headers={"If-Match": 'W/"3"'})
    assert weak.json()["title"] == "D"


async def test_a_patch_that_changes_nothing_keeps_the_version(
    staff: AsyncClient, venue_id: UUID, database: Database
) -> None:
    session = await published(staff, venue_id)
    before = await said(database)
    answer = await staff.patch(
        f"{SESSIONS}/{session['id']}",
        json={"title": session["title"], "starts_at": session["starts_at"]},
        headers={"If-Match": '"2"'},
    )
    assert answer.headers["etag"] == '"2"'
    assert await said(database) == before


async def test_a_patch_of_a_published_session_is_announced(
    staff: AsyncClient, venue_id: UUID, database: Database
) -> None:
    session = await published(staff, venue_id)
    answer = await staff.patch(
        f"{SESSIONS}/{session['id']}",
        json={"capacity": 8, "on_shrink": "ask_volunteers", "reason": "Salle plus petite"},
        headers={"If-Match": '"2"'},
    )
    assert answer.status_code == 200, answer.text
    last = (await said(database))[-1]
    assert (last.topic, last.version) == ("sessions", 3)
    assert last.payload["capacity"] == {"on_site": 8, "online": 0}
    assert last.payload["on_shrink"] == "ask_volunteers"
    assert last.payload["change_reason"] == "Salle plus petite"
    assert len(await said(database, "session_access")) == 1


async def test_rescheduling_keeps_what_it_replaced(
    staff: AsyncClient, venue_id: UUID, database: Database
) -> None:
    session = await published(
        staff,
        venue_id,
        held_seats={"phone": 2},
        releases=[{"at": "2027-02-03T09:00", "channel": "phone", "seats": 2}],
    )
    answer = await staff.post(
        f"{SESSIONS}/{session['id']}/reschedule",
        json={
            "starts_at": "2027-02-02T10:00",
            "ends_at": "2027-02-02T12:00",
            "timezone": "America/Toronto",
            "reason": "Tempête",
        },
    )
    assert answer.status_code == 200, answer.text
    moved = answer.json()
    assert moved["starts_at"] == "2027-02-02T10:00:00-05:00"
    assert moved["releases"][0]["at"] == "2027-02-02T10:00:00-05:00"
    last = (await said(database))[-1].payload
    assert (last["starts_at_utc"], last["change_reason"]) == ("2027-02-02T15:00:00Z", "Tempête")


async def test_cancelling_is_final_and_may_be_repeated(
    staff: AsyncClient, public: AsyncClient, venue_id: UUID, database: Database
) -> None:
    session = await published(staff, venue_id)
    url = f"{SESSIONS}/{session['id']}"
    assert (await staff.delete(url)).json()["type"] == "urn:tournee:problem:not-a-draft"
    cancelled = await staff.post(f"{url}/cancel", json={"reason": "Tempête"})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (await staff.post(f"{url}/cancel", json={})).json()["cancel_reason"] == "Tempête"
    assert [m.payload["status"] for m in await said(database, "sessions")] == ["published", "cancelled"]
    for answer in (
        await staff.post(f"{url}/publish", json={}),
        await staff.patch(url, json={"title": "X"}, headers={"If-Match": "*"}),
        await staff.post(
            f"{url}/reschedule", json={"starts_at": "2027-03-01T10:00", "ends_at": "2027-03-01T11:00"}
        ),
    ):
        assert (answer.status_code, answer.json()["type"]) == (
            409,
            "urn:tournee:problem:session-cancelled",
        )
    assert (await public.get(url)).json()["status"] == "cancelled"


async def test_drafts_are_deleted_not_cancelled(staff: AsyncClient, venue_id: UUID) -> None:
    draft = await create(staff, venue_id)
    url = f"{SESSIONS}/{draft['id']}"
    assert (await staff.post(f"{url}/cancel", json={})).status_code == 409
    assert (await staff.delete(url, headers={"If-Match": '"7"'})).status_code == 412
    assert (await staff.delete(url)).status_code == 204
    assert (await staff.get(url)).status_code == 404
    assert (await staff.delete(url)).status_code == 404


async def test_what_is_past_is_not_published(staff: AsyncClient, venue_id: UUID) -> None:
    draft = await create(staff, venue_id, starts_at="2025-02-03T13:30", ends_at="2025-02-03T15:30")
    answer = await staff.post(f"{SESSIONS}/{draft['id']}/publish", json={})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tournee:problem:session-over")


async def test_an_idempotency_key_makes_one_session(
    staff: AsyncClient, venue_id: UUID, public: AsyncClient
) -> None:
    body, headers = session_fields(venue_id), {"Idempotency-Key": "a key, with spaces: 1"}
    first = await staff.post(SESSIONS, json=body, headers=headers)
    again = await staff.post(SESSIONS, json=dict(reversed(body.items())), headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = await staff.post(SESSIONS, json=body | {"title": "Autre"}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (
        422,
        "urn:tournee:problem:idempotency-key-reused",
    )
    assert first.json()["id"] not in other.text
    for key in ("", "x" * 256):
        refused = await staff.post(SESSIONS, json=body, headers={"Idempotency-Key": key})
        assert fields_of(refused) == {"Idempotency-Key"}


async def test_a_refused_request_leaves_its_key_free(staff: AsyncClient, venue_id: UUID) -> None:
    headers = {"Idempotency-Key": "k"}
    bad = await staff.post(SESSIONS, json=session_fields(venue_id, title=""), headers=headers)
    good = await staff.post(SESSIONS, json=session_fields(venue_id), headers=headers)
    assert (bad.status_code, good.status_code) == (422, 201)


async def test_the_list_filters_and_pages(
    staff: AsyncClient, public: AsyncClient, venue_id: UUID, database: Database
) -> None:
    async with database.transaction() as db:
        far = await a_venue(
            db, name="Bibliothèque de Rimouski", municipality="Rimouski", region="01",
            postal_code="G5L 4H5", latitude=48.448, longitude=-68.525,
        )  # fmt: skip
    here = [
        await published(staff, venue_id, starts_at=f"2027-02-0{day}T10:00", ends_at=f"2027-02-0{day}T11:00")
        for day in (3, 1, 2)
    ]
    there = await published(staff, far.id, theme="courriel", title="Le courriel")

    async def ids(**params: Any) -> list[str]:
        answer = await public.get(SESSIONS, params=params)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    in_order = [here[1]["id"], here[2]["id"], here[0]["id"]]
    assert await ids() == [*in_order, there["id"]]
    assert await ids(region="01") == [there["id"]]
    assert await ids(theme="courriel") == [there["id"]]
    assert await ids(q="COURRIEL") == [there["id"]]
    assert await ids(q="felix leclerc") == in_order
    assert await ids(near="Rimouski") == [there["id"]]
    assert await ids(near="G3K 1A1") == in_order
    assert await ids(stream="pro") == []
    assert await ids(**{"from": "2027-02-02", "to": "2027-02-02"}) == [here[2]["id"]]
    seen, cursor = [], None
    while True:
        params = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = (await public.get(SESSIONS, params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [*in_order, there["id"]]


@pytest.mark.parametrize(
    "params",
    [
        {"theme": "cuisine"},
        {"from": "demain"},
        {"near": "Nulle-Part-sur-Mer"},
        {"cursor": "x"},
        {"limit": "0"},
        {"limit": "abc"},
        {"status": "perdu"},
        {"q": "\x00"},
    ],
)
async def test_a_filter_that_cant_be_understood_is_refused(
    public: AsyncClient, params: dict[str, str]
) -> None:
    assert fields_of(await public.get(SESSIONS, params=params)) == set(params)


async def test_venues_are_found_without_accents(public: AsyncClient, venue_id: UUID) -> None:
    for q in ("felix", "FÉLIX leclerc", "quebec felix", "g3k"):
        answer = await public.get("/api/events/v1/venues", params={"q": q, "region": "03"})
        assert [item["id"] for item in answer.json()["items"]] == [str(venue_id)], q
    assert (await public.get("/api/events/v1/venues", params={"q": "%"})).json()["items"] == []
    assert (await public.get("/api/events/v1/venues", params={"region": "06"})).json()["items"] == []


async def test_lists_are_in_french_order(public: AsyncClient, database: Database) -> None:
    names = ["Éclair", "Zoé", "eclat", "École", "Abri", "œuvre", "Oasis"]
    async with database.transaction() as db:
        for name in names:
            await a_venue(db, name=name)
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await public.get("/api/events/v1/venues", params=params)).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ["Abri", "Éclair", "eclat", "École", "Oasis", "œuvre", "Zoé"]


@pytest.mark.parametrize(
    ("path", "body", "change"),
    [
        ("venues", {"name": "Salle A"}, {"phone": "418 555-0199"}),
        ("programmes", {"name": "AlphaNumérique"}, {"last_date": "2028-03-31"}),
        ("activities", {"title": "Le courriel"}, {"duration_minutes": 45}),
        ("trainers", {"name": "Formatrice A"}, {"email": "a@example.org"}),
        ("tours", {"title": "Tournée d’hiver"}, {"coordinator_note": "Neige"}),
    ],
)
async def test_staff_keep_what_sessions_are_planned_from(
    staff: AsyncClient, public: AsyncClient, path: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    url = f"/api/events/v1/{path}"
    assert (await public.post(url, json=body)).status_code == 401
    created = await staff.post(url, json=body)
    assert created.status_code == 201, created.text
    one = created.headers["location"]
    assert (await staff.get(one)).json() == created.json()
    assert (await staff.patch(one, json=change)).status_code == 428
    patched = await staff.patch(one, json=change, headers={"If-Match": created.headers["etag"]})
    assert (patched.status_code, patched.headers["etag"]) == (200, '"2"')
    assert change.items() <= patched.json().items()
    stale = await staff.patch(one, json=change, headers={"If-Match": created.headers["etag"]})
    assert (stale.status_code, stale.json()["current"]["version"]) == (412, 2)
    assert body["name" if "name" in body else "title"] in (await staff.get(url)).text
    assert fields_of(await staff.post(url, json=body | {"nothing": 1})) == {"nothing"}
    assert (await staff.delete(one)).status_code == 204
    assert (await staff.get(one)).status_code == 404


async def test_a_tour_is_planned_published_and_cancelled(
    staff: AsyncClient, public: AsyncClient, venue_id: UUID
) -> None:
    base = "/api/events/v1"
    tour = (await staff.post(f"{base}/tours", json={"title": "Tournée d’hiver", "region": "03"})).json()
    activity = (await staff.post(f"{base}/activities", json={"title": "Le courriel"})).json()
    url = f"{base}/tours/{tour['id']}"
    stop = await staff.post(f"{url}/stops", json={"venue_id": str(venue_id), "first_date": "2027-02-03"})
    assert (stop.status_code, stop.json()["position"], stop.json()["last_date"]) == (201, 1, "2027-02-03")
    body = {"activity_id": activity["id"], "starts_at": "2027-02-03T13:30"}
    session = await staff.post(f"{stop.headers['location']}/sessions", json=body)
    assert (session.status_code, session.json()["title"]) == (201, "Le courriel")
    stale = await staff.post(f"{url}/publish", json={}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    done = await staff.post(f"{url}/publish", json={})
    assert (done.json()["tour"]["status"], done.json()["session_ids"]) == (
        "published",
        [session.json()["id"]],
    )
    shown = (await public.get(session.headers["location"])).json()
    assert (shown["tour_id"], shown["tour_title"]) == (tour["id"], "Tournée d’hiver")
    copy = await staff.post(f"{url}/copy", json={"weeks": 2}, headers={"Idempotency-Key": "c"})
    again = await staff.post(f"{url}/copy", json={"weeks": 2}, headers={"Idempotency-Key": "c"})
    assert (copy.status_code, again.status_code) == (201, 200)
    assert copy.json() == again.json()
    assert [s["first_date"] for s in copy.json()["stops"]] == ["2027-02-17"]
    gone = await staff.post(f"{url}/cancel", json={"reason": "Tempête"})
    assert (gone.json()["tour"]["status"], gone.json()["session_ids"]) == (
        "cancelled",
        [session.json()["id"]],
    )
    assert (await public.get(session.headers["location"])).json()["cancel_reason"] == "Tempête"


async def test_a_session_of_a_draft_tour_does_not_name_it(
    staff: AsyncClient, public: AsyncClient, venue_id: UUID
) -> None:
    tour = (await staff.post("/api/events/v1/tours", json={"title": "Secrète"})).json()
    session = await published(staff, venue_id, tour_id=tour["id"])
    assert session["tour_title"] == "Secrète"
    assert (await public.get(f"{SESSIONS}/{session['id']}")).json()["tour_title"] is None


async def test_a_venue_in_use_stays(staff: AsyncClient, venue_id: UUID) -> None:
    await create(staff, venue_id)
    answer = await staff.delete(f"/api/events/v1/venues/{venue_id}")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tournee:problem:in-use")


async def test_openapi_describes_the_bodies(public: AsyncClient) -> None:
    document = (await public.get("/api/events/openapi.json")).json()
    post = document["paths"][SESSIONS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "title" in post["required"]
    patch = document["paths"][f"{SESSIONS}/{{session_id}}"]["patch"]
    assert "required" not in patch["requestBody"]["content"]["application/json"]["schema"]
    assert "$defs" not in str(document)
    names = {item["name"] for item in document["paths"][SESSIONS]["get"]["parameters"]}
    assert {"region", "from", "to", "near", "available", "limit", "cursor", "status"} <= names
