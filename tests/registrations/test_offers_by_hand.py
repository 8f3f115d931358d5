"""Offers to those whom the team calls or writes to: their hours run while it is there."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.clock import zone
from libs.messaging.contracts import SeatCounts, SessionState
from services.registrations.audit import audit
from services.registrations.offers import expires_at
from services.registrations.office_hours import office_hours
from services.registrations.office_renewal import renew_office_hours
from tests.registrations.conftest import Instance, bearer, session_state

BY_PHONE = {"channel": "phone", "contact": {"phone": "418 555-0199"}}


async def offered(instance: Instance, session: SessionState, **asked: Any) -> dict[str, Any]:
    """Somebody who waited for the only seat, to whom it is offered now."""
    holder = (await instance.register(session.id, 1)).json()
    waiting = (await instance.register(session.id, 2, **asked)).json()
    await instance.client.delete(
        f"/api/registrations/v1/registrations/{holder['id']}", headers=bearer(holder)
    )
    return waiting


async def row_of(instance: Instance, registration: dict[str, Any]) -> asyncpg.Record:
    connection = await asyncpg.connect(instance.database.url)
    try:
        row = await connection.fetchrow(
            "select by_hand, offer_expires_at, (select at from seat_ledger s where s.session_id ="
            " r.session_id order by entry desc limit 1) as at from registration r where id = $1",
            registration["id"],
        )
    finally:
        await connection.close()
    assert row is not None
    return row


async def test_who_is_called_has_the_hours_in_which_the_team_is_there(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1), in_days=60)
    await instance.hear(session)
    called = await row_of(instance, await offered(instance, session, **BY_PHONE))

    office = office_hours(instance.settings.office_hours, session)
    at = called["at"].astimezone(UTC)
    assert called["by_hand"]
    assert called["offer_expires_at"] == expires_at(at, session.starts_at_utc, 24, office)
    assert called["offer_expires_at"] >= at + timedelta(hours=72), "three days and a half of seven hours"
    local = called["offer_expires_at"].astimezone(zone(session.timezone))
    assert 9 <= local.hour <= 16


async def test_who_is_written_to_by_machine_has_the_hours_of_the_clock(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1), in_days=60)
    await instance.hear(session)
    mailed = await row_of(instance, await offered(instance, session))

    assert not mailed["by_hand"]
    assert mailed["offer_expires_at"] == mailed["at"] + timedelta(hours=24)


async def test_the_ledger_is_worked_out_again_whatever_the_opening_hours_have_become(
    instance: Instance,
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1), in_days=60)
    await instance.hear(session)
    waiting = await offered(instance, session, **BY_PHONE)
    before = await row_of(instance, waiting)
    other = instance.settings.model_copy(update={"office_hours": "mo-sa 08:00-20:00"})

    assert await renew_office_hours(instance.database, other) == 1
    assert await renew_office_hours(instance.database, other) == 0, "once is enough"

    after = await row_of(instance, waiting)
    assert after["offer_expires_at"] == before["offer_expires_at"], "what was told holds"
    report = await audit(instance.database.url)
    assert report.differences == ()


@pytest.mark.parametrize("opening", ["24/7", "mo-fr 09:00-16:00"])
async def test_a_session_known_before_there_was_a_clock_gets_one(instance: Instance, opening: str) -> None:
    session = session_state(capacity=SeatCounts(on_site=1), in_days=60)
    await instance.hear(session)
    connection = await asyncpg.connect(instance.database.url)
    await connection.execute("update session set office = null")
    await connection.close()

    changed = await renew_office_hours(
        instance.database, instance.settings.model_copy(update={"office_hours": opening})
    )
    assert changed == (opening != "24/7")


async def test_a_transfer_keeps_the_clock_of_the_person(instance: Instance) -> None:
    session, other = session_state(in_days=60), session_state(in_days=61)
    await instance.hear(session, other)
    caller = (await instance.register(session.id, 1, **BY_PHONE)).json()
    moved = await instance.client.post(
        f"/api/registrations/v1/registrations/{caller['id']}/transfer",
        headers=instance.staff,
        json={"session_id": str(other.id), "reason": "Plus près"},
    )
    assert (await row_of(instance, moved.json()))["by_hand"]
    assert datetime.now(UTC) < other.starts_at_utc


HOURS = "Ce délai compte seulement les heures où l’équipe est là : du lundi au vendredi, de 9 h à 16 h"


async def test_who_is_called_is_told_whose_hours_count(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1), in_days=60)
    await instance.hear(session)
    called = await offered(instance, session, **BY_PHONE)

    cause = (await instance.announced())[-1]["causes"][-1]
    assert cause["cause"] == "offered"
    assert cause["office_week"] == [[[540, 960]]] * 5 + [[], []]
    own = await instance.client.get(f"/mon-inscription/{called['manage_token']}")
    staff = [
        await instance.client.get(path, headers=instance.staff)
        for path in (f"/guichet/inscriptions/{called['id']}", f"/guichet/seances/{session.id}/attente")
    ]
    for page in (own, *staff):
        assert f"{HOURS}, sauf les jours fériés." in page.text.replace("\u00a0", " ")
    english = await instance.client.get(f"/mon-inscription/{called['manage_token']}?lang=en")
    assert "Monday to Friday, from 9 a.m. to 4 p.m." in english.text.replace("\u00a0", " ")


async def test_a_later_notice_of_the_same_offer_says_it_too(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1), in_days=60)
    await instance.hear(session)
    await offered(instance, session, **BY_PHONE)
    hour = timedelta(hours=1)
    longer = {"ends_at": session.ends_at + hour, "ends_at_utc": session.ends_at_utc + hour}
    await instance.hear(session.model_copy(update=longer), version=2)

    causes = (await instance.announced())[-1]["causes"]
    assert [cause["cause"] for cause in causes][-2:] == ["offered", "session_changed"]
    assert causes[-1]["office_week"] == causes[-2]["office_week"] is not None


@pytest.mark.parametrize(
    ("in_days", "asked"), [(60, {}), (0.5, BY_PHONE), (3, BY_PHONE)], ids=["by mail", "last day", "half"]
)
async def test_nothing_is_said_of_hours_where_they_did_not_decide(
    instance: Instance, in_days: float, asked: dict[str, Any]
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1), in_days=in_days)
    await instance.hear(session)
    person = await offered(instance, session, **asked)

    assert (await instance.announced())[-1]["causes"][-1]["office_week"] is None
    page = await instance.client.get(f"/mon-inscription/{person['manage_token']}")
    assert "Ce délai compte" not in page.text
