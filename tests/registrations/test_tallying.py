"""The daily job: what is announced of a month, once, and again only where something changed."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import orjson

from libs.messaging import topics
from libs.messaging.contracts import HeldSeats, SeatCounts, SessionAccess, SessionState
from libs.messaging.federated import MINUTES, FederatedTally
from services.registrations import profiles, tally_queries
from services.registrations.retention import erase_due
from services.registrations.tallying import Tallying, groups_of, people_key
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, bearer, session_state
from tests.registrations.test_attendance import attend, walk_ins

ANSWERS = {"target_groups": ["aines_65"], "consents": ["statistics_profile"]}


async def count(instance: Instance) -> int:
    return await Tallying(instance.database, instance.settings).count()


async def said(instance: Instance) -> list[dict[str, Any]]:
    """Key, version and cell of each message, oldest first; the cell is None for what was taken back."""
    connection = await asyncpg.connect(instance.database.url)
    try:
        rows = await connection.fetch(
            "select key, headers, value from outbox where topic = $1 order by id", topics.TALLIES.name
        )
    finally:
        await connection.close()
    found = []
    for row in rows:
        headers = json.loads(row["headers"])
        value = None if row["value"] is None else orjson.loads(row["value"])
        if value is not None:
            FederatedTally.model_validate(value)
        found.append(
            {
                "key": row["key"],
                "version": int(headers["ce_version"]),
                "epoch": int(headers["ce_epoch"]),
                "cell": value and value["cell"],
            }
        )
    return found


async def current(instance: Instance) -> dict[str, dict[str, Any]]:
    """The cells as they stand after all that was said."""
    cells = {message["key"]: message["cell"] for message in await said(instance)}
    return {key: cell for key, cell in cells.items() if cell is not None}


def figures(cells: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Without the instant of counting."""
    return {key: {name: cell[name] for name in cell if name != "as_of"} for key, cell in cells.items()}


async def a_month(instance: Instance, shift_clock: ShiftClock) -> tuple[SessionState, list[Any]]:
    """Two seats and a line: five register, one leaves, an offer is taken, and who came is noted."""
    session = session_state(in_days=10, capacity=SeatCounts(on_site=2))
    await instance.hear(session)
    people = [(await instance.register(session.id, number, **ANSWERS)).json() for number in (1, 2, 3, 4)]
    people.append((await instance.register(session.id, 5, channel="phone")).json())
    await shift_clock(instance.database, timedelta(hours=3))
    path = "/api/registrations/v1/registrations"
    await instance.client.delete(f"{path}/{people[0]['id']}", headers=bearer(people[0]))
    await shift_clock(instance.database, timedelta(minutes=20))
    await instance.client.post(f"{path}/{people[2]['id']}/accept", headers=bearer(people[2]))
    await shift_clock(instance.database, timedelta(days=10))
    await attend(instance, people[1], "attended")
    await attend(instance, people[2], "absent")
    await walk_ins(instance, session, 3)
    return session, people


async def test_a_month_is_counted_by_region_stream_theme_channel_and_modality(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, _ = await a_month(instance, shift_clock)

    await count(instance)

    month = f"{session.starts_at:%Y-%m}"
    cells = {key: cell for key, cell in (await current(instance)).items() if key.startswith("operational")}
    stem = f"operational/{month}/03/public/courriel"
    assert set(cells) == {f"{stem}/{channel}/on_site" for channel in ("web", "phone", "none")}
    web = cells[f"{stem}/web/on_site"]
    assert web["registrations"] == {"cancelled": 1, "attended": 1, "absent": 1, "waitlisted": 1}
    assert (web["confirmed_at_start"], web["waitlisted_at_start"]) == (2, 1)
    assert web["attended_minutes"] == 120
    assert (web["offers_made"], web["offers_accepted"]) == (1, 1)
    assert web["answer_minutes"][MINUTES.index(30)] == 1, "20 minutes from the offer to the answer"
    assert web["minutes_from_opening"][0] == 4
    phone = cells[f"{stem}/phone/on_site"]
    assert (phone["registrations"], phone["waitlisted_at_start"]) == ({"waitlisted": 1}, 1)
    none = cells[f"{stem}/none/on_site"]
    assert (none["walk_ins"], none["walk_in_minutes"], none["registrations"]) == (3, 360, {})


async def test_a_session_of_which_only_the_access_has_arrived_is_not_counted(instance: Instance) -> None:
    """The two come by streams of their own, in whatever order."""
    await instance.hear(SessionAccess(session_id=uuid4(), online_url="https://rencontre.example.org/salle"))

    assert await count(instance) == 0


async def test_counting_again_announces_nothing(instance: Instance, shift_clock: ShiftClock) -> None:
    await a_month(instance, shift_clock)

    assert await count(instance) > 0
    before = await said(instance)
    assert await count(instance) == 0
    await shift_clock(instance.database, timedelta(days=1))
    assert await count(instance) == 0

    assert await said(instance) == before


async def test_two_processes_that_count_at_once_say_each_cell_once(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    await a_month(instance, shift_clock)

    # PostgreSQL may end one of them, whose loop then tries again.
    await asyncio.gather(*(count(instance) for _ in range(4)), return_exceptions=True)
    await count(instance)

    messages = await said(instance)
    assert len(messages) == len(await current(instance)) > 0
    assert {message["version"] for message in messages} == {1}


async def test_a_correction_announces_only_the_cell_concerned(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, people = await a_month(instance, shift_clock)
    await count(instance)
    before = await said(instance)

    await attend(instance, people[2], "excused")
    await count(instance)

    fresh = (await said(instance))[len(before) :]
    assert [(message["key"].split("/")[5], message["version"]) for message in fresh] == [("web", 2)]
    assert fresh[0]["cell"]["registrations"]["excused"] == 1
    await walk_ins(instance, session, 4)
    await count(instance)
    last = (await said(instance))[-1]
    assert (last["cell"]["channel"], last["version"], last["cell"]["walk_ins"]) == ("none", 2, 4)


async def test_a_session_that_moves_to_another_month_takes_its_figures_along(instance: Instance) -> None:
    session = session_state(starts_at=datetime.fromisoformat("2031-05-30T13:30"))
    await instance.hear(session)
    await instance.register(session.id)
    await count(instance)
    moved = session_state(id=session.id, starts_at=datetime.fromisoformat("2031-06-02T13:30"))
    await instance.hear(moved, version=2)

    await count(instance)

    assert [(message["key"].split("/")[1], message["cell"] is None) for message in await said(instance)] == [
        ("2031-05", False),
        ("2031-05", True),
        ("2031-06", False),
    ]
    await instance.hear(session, version=3)
    await count(instance)
    assert [(message["key"].split("/")[1], message["version"]) for message in (await said(instance))[3:]] == [
        ("2031-05", 3),
        ("2031-06", 2),
    ]


async def test_a_new_epoch_says_everything_again(instance: Instance, shift_clock: ShiftClock) -> None:
    await a_month(instance, shift_clock)
    first = await count(instance)
    connection = await asyncpg.connect(instance.database.url)
    await connection.execute("update epoch set epoch = epoch + 1")
    await connection.close()

    assert await count(instance) == first

    again = (await said(instance))[first:]
    assert {message["epoch"] for message in again} == {2}
    assert {message["version"] for message in again} == {2}


async def test_the_sum_of_all_cells_is_the_rows_there_are(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    for number, changes in enumerate(
        ({}, {"theme": None}, {"stream": "pro"}, {"region": None}, {"theme": "broderie"}, {"in_days": 45})
    ):
        session = session_state(**{"in_days": 5, "capacity": SeatCounts(on_site=2)} | changes)
        await instance.hear(session)
        for person in range(3):
            channel = ("web", "phone", "paper")[person]
            pro = {"organisation": "Bibliothèque", "role": "staff"}
            await instance.register(session.id, 10 * number + person, channel=channel, **pro)
    await shift_clock(instance.database, timedelta(days=6))

    await count(instance)

    cells = await current(instance)
    states: Counter[str] = Counter()
    for cell in cells.values():
        states.update(cell.get("registrations", {}))
    connection = await asyncpg.connect(instance.database.url)
    rows = await connection.fetch("select status, count(*) from registration group by status")
    await connection.close()
    assert states == Counter({row["status"]: row["count"] for row in rows})
    assert states.total() == 18
    assert any("/other/" in key for key in cells), "a theme that nobody knows"


# Figures about people.


async def next_month(instance: Instance, shift_clock: ShiftClock) -> None:
    await shift_clock(instance.database, timedelta(days=32))


async def test_people_are_counted_once_their_month_is_over_and_rounded(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    await a_month(instance, shift_clock)
    await count(instance)
    assert not [key for key in await current(instance) if key.startswith("profile")], "it isn't over"
    await next_month(instance, shift_clock)

    await count(instance)

    cells = {key: cell for key, cell in (await current(instance)).items() if key.startswith("profile")}
    assert len(cells) == 3 + 8
    for key, cell in cells.items():
        expected = 1 if key.endswith(("people/-", "participations/-", "answered/-", "aines_65")) else 0
        assert cell["rounded"] in ((0, 5) if expected else (0,)), key
        assert set(cell) == {
            "kind", "month", "region", "stream", "dimension", "value", "rounded", "as_of",
        }  # fmt: skip


async def exact(instance: Instance) -> Counter[tuple[str, ...]]:
    """The figures before rounding: those kept of erased people and those of people still known."""
    async with instance.database.reading() as tx:
        heads = await tally_queries.heads(tx, datetime.now(UTC))
        states = await tally_queries.facts_of(tx, [head.id for head in heads])
        known = await tally_queries.visits(tx, groups_of(states.values()), people_key(instance.settings))
        counted = profiles.figures(visit for visits in known.values() for visit in visits)
        for month in {head.month for head in heads}:
            counted.update(await tally_queries.kept_figures(tx, month))
    return Counter(
        {(*figure.group, figure.dimension, figure.value): count for figure, count in counted.items()}
    )


async def test_erasing_people_one_session_after_the_other_changes_no_figure(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    start = (datetime.now(UTC) + timedelta(days=32)).replace(day=5, minute=0, tzinfo=None)
    days = [start + timedelta(days=step) for step in (0, 3, 6)]
    sessions = [session_state(starts_at=day, timezone="UTC") for day in days]
    await instance.hear(*sessions)
    for session in sessions:
        for number in (1, 2):
            await instance.register(session.id, number, **(ANSWERS if session is sessions[number] else {}))
    await instance.register(sessions[0].id, 3, **ANSWERS)
    await shift_clock(
        instance.database, days[-1].replace(tzinfo=UTC) - datetime.now(UTC) + timedelta(hours=6)
    )
    for session in sessions:
        roster = f"/api/registrations/v1/sessions/{session.id}/roster"
        for one in (await instance.client.get(roster, headers=instance.staff)).json()["items"]:
            assert (await attend(instance, one, "attended")).status_code == 200
    await count(instance)
    operational, whole = figures(await current(instance)), await exact(instance)
    assert {key[3:]: number for key, number in whole.items()} == {
        ("people", ""): 3,
        ("participations", ""): 7,
        ("answered", ""): 2,  # the first said something once, and nothing later
        ("target_group", "aines_65"): 2,
    }

    settings = instance.settings.model_copy(update={"identity_days": 5})
    for wait, people in ((0, 3), (3, 2), (3, 2)):
        await shift_clock(instance.database, timedelta(days=wait))
        assert await erase_due(instance.database, settings) == people
        assert await exact(instance) == whole
        assert await count(instance) == 0
    await next_month(instance, shift_clock)
    assert await count(instance) == 3 + 8
    connection = await asyncpg.connect(instance.database.url)
    # Counted anew, as if nothing had been counted before.
    await connection.execute("delete from tally_month")
    await connection.close()
    assert await count(instance) == 0

    cells = figures(await current(instance))
    assert {key: cells[key] for key in operational} == operational
    for key, cell in cells.items():
        if cell["kind"] == "profile":
            number = sum(n for known, n in whole.items() if known[3:] == (cell["dimension"], cell["value"]))
            assert abs(cell["rounded"] - number) < 5, key


async def test_a_withdrawn_consent_or_none_keeps_answers_out(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = session_state(in_days=1)
    await instance.hear(session)
    people = [(await instance.register(session.id, number, **ANSWERS)).json() for number in (1, 2)]
    people.append((await instance.register(session.id, 3)).json())
    connection = await asyncpg.connect(instance.database.url)
    await connection.execute(
        "update consent set withdrawn_at = now() where registration_id = $1", people[1]["id"]
    )
    await connection.close()
    await shift_clock(instance.database, timedelta(days=2))
    for one in people:
        await attend(instance, one, "attended")

    found = {key[3:]: number for key, number in (await exact(instance)).items()}

    assert found == {
        ("people", ""): 3,
        ("participations", ""): 3,
        ("answered", ""): 1,
        ("target_group", "aines_65"): 1,
    }


async def test_nothing_of_anybody_is_in_a_tally(instance: Instance, shift_clock: ShiftClock) -> None:
    session = session_state(in_days=1, theme="CANARI thème", title="CANARI titre", region="CANARI")
    await instance.hear(session)
    person = (
        await instance.register(
            session.id,
            name="CANARI Tremblay",
            contact={"email": "canari@example.org", "mobile": "418 555-0199", "postal": "1, rue CANARI"},
            target_groups=["CANARI groupe"],
            consents=["statistics_profile", "accommodation_data"],
            accommodations=["CANARI besoin"],
            organisation="CANARI inc.",
        )
    ).json()
    await shift_clock(instance.database, timedelta(days=2))
    await attend(instance, person, "attended")
    await next_month(instance, shift_clock)

    await count(instance)

    connection = await asyncpg.connect(instance.database.url)
    rows = [
        dict(row)
        for statement in (
            "select key, partition_key, headers, convert_from(value, 'UTF8') from outbox"
            " where topic = 'tallies'",
            "select * from tally",
            "select * from profile_kept",
        )
        for row in await connection.fetch(statement)
    ]
    refs = await connection.fetchrow("select id, ledger_ref, confirmation_number, uid from registration")
    await connection.close()
    text = str(rows).lower()
    assert len(rows) >= 24
    assert "canari" not in text
    assert "5550199" not in text
    for value in (*refs, session.id):
        assert str(value).lower() not in text


# When it runs.


async def test_it_is_due_once_a_day_and_after_outcomes(instance: Instance, shift_clock: ShiftClock) -> None:
    _, people = await a_month(instance, shift_clock)
    tallying = Tallying(instance.database, instance.settings)
    assert await tallying.is_due()
    await shift_clock(instance.database, timedelta(minutes=5))
    await tallying.count()
    assert not await tallying.is_due()

    await attend(instance, people[2], "excused")
    assert await tallying.is_due()
    await shift_clock(instance.database, timedelta(minutes=5))
    await tallying.count()
    assert not await tallying.is_due()

    await shift_clock(instance.database, timedelta(days=1))
    assert await tallying.is_due()


async def test_an_offer_that_ran_out_was_made_and_not_accepted(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    held = (HeldSeats(seat_kind="on_site", channel="phone", seats=1),)
    session = session_state(capacity=SeatCounts(on_site=2), held_seats=held)
    await instance.hear(session)
    first, _ = [(await instance.register(session.id, number)).json() for number in (1, 2)]
    await instance.client.delete(f"/api/registrations/v1/registrations/{first['id']}", headers=bearer(first))
    await shift_clock(instance.database, timedelta(hours=30))
    await Timers(instance.database, instance.settings).act_on_what_is_due()

    await count(instance)

    (cell,) = (await current(instance)).values()
    assert (cell["offers_made"], cell["offers_accepted"], cell["answer_minutes"]) == (1, 0, [])
    assert cell["registrations"] == {"cancelled": 1, "expired": 1}
