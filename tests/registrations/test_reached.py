"""No-promise notices: who could not be reached, and by which routes it was tried, wherever people look."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from libs.messaging.bus import Received
from libs.messaging.contracts import Attempt, NoticeOutcome, ReachedState, SeatCounts, SessionState
from libs.messaging.envelope import pack
from libs.messaging.topics import REACHED
from services.registrations.reaching import reach_of, result_label, told
from tests.registrations.conftest import Instance, bearer, session_state

API = "/api/registrations/v1"
BY_PHONE = {"channel": "phone", "contact": {"phone": "418 555-0199", "postal": "12, rue des Érables"}}
AT = datetime(2027, 1, 11, 15, 0, tzinfo=UTC)


def notice(
    outcome: str, *tried: tuple[str, str], cause: str = "confirmed", version: int = 1
) -> NoticeOutcome:
    return NoticeOutcome(
        epoch=1,
        version=version,
        cause=cause,
        outcome=outcome,
        route="phone",
        at=AT,
        tried=tuple(Attempt(route=route, result=result, at=AT) for route, result in tried),
    )


async def hear(
    instance: Instance,
    registration: dict[str, Any],
    *notices: NoticeOutcome,
    version: int = 1,
    gone: bool = False,
) -> None:
    """What `notifications` says of a registration."""
    payload = ReachedState(
        registration_id=UUID(registration["id"]),
        session_id=UUID(registration["session_id"]),
        notices=notices,
    )
    message = pack(
        REACHED,
        instance="test",
        key=registration["id"],
        partition_key=registration["session_id"],
        epoch=1,
        version=version,
        time=AT,
        payload=None if gone else payload,
    )
    await instance._inbox.handle([Received(message, 0, 0)])


IN_VAIN = notice("not_told", ("phone", "no_answer"), ("phone", "wrong_number"), ("postal", "returned"))


@pytest.mark.parametrize(
    ("notices", "state", "routes"),
    [
        ([notice("waiting")], "waiting", ()),
        ([notice("waiting", ("phone", "no_answer"))], "trying", ("phone",)),
        ([IN_VAIN], "unreached", ("phone", "postal")),
        ([notice("waiting", ("email", "delayed"))], "waiting", ()),
        ([IN_VAIN, notice("told", ("email", "sent"), version=2)], "told", ()),
        ([IN_VAIN, notice("overtaken", version=2)], "unreached", ("phone", "postal")),
        ([notice("told", ("phone", "left_message"), ("phone", "reached"))], "told", ("phone",)),
    ],
)
def test_what_counts_is_the_newest_news_that_nothing_took_the_place_of(
    notices: list[NoticeOutcome], state: str, routes: tuple[str, ...]
) -> None:
    reach = reach_of(notices)
    assert reach is not None
    assert (reach.state, reach.routes) == (state, routes)


def test_tries_are_counted_and_named_as_they_were_noted() -> None:
    tried = (
        Attempt(route="sms", result="undelivered", code="30003", number=1),
        Attempt(route="mobile", result="no_answer", number=2),
        Attempt(route="mobile", result="gave_up", number=3),
        Attempt(route="email", result="RCPT 550 5.1.1"),
    )
    reach = reach_of([notice("not_told").model_copy(update={"tried": tried})])
    assert reach is not None
    assert [str(part).replace("\u00a0", " ") for part in reach.tried] == [
        "par SMS",
        "par cellulaire, 2 fois",
        "par courriel",
    ]
    assert [str(result_label(one)) for one in tried] == [
        "pas arrivé (30003)",
        "pas de réponse",
        "abandonné après plusieurs essais",
        "refusé (RCPT 550 5.1.1)",
    ]


def test_told_counts_only_what_was_really_told_of_the_causes_that_are_meant() -> None:
    notices = [
        notice("told", cause="reconfirm_asked", version=3),
        notice("not_told", cause="reconfirm_asked", version=5),
        notice("told", cause="confirmed", version=5),
    ]
    assert [one.version for one in told(notices, "reconfirm_asked", [3, 5])] == [3]
    assert told(notices, "reconfirm_asked", []) == ()


async def test_the_roster_the_line_and_the_api_say_who_was_not_reached(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    seated = (await instance.register(session.id, 1, **BY_PHONE)).json()
    waiting = (await instance.register(session.id, 2, **BY_PHONE)).json()
    await hear(instance, seated, IN_VAIN)
    await hear(instance, waiting, notice("waiting", ("phone", "no_answer"), cause="waitlisted"))

    found = await unreached(instance, session)
    assert [(one["name"], one["state"], one["routes"]) for one in found] == [
        ("Aline Tremblay 1", "unreached", ["phone", "postal"]),
        ("Aline Tremblay 2", "trying", ["phone"]),
    ]
    roster = (await instance.client.get(f"{API}/sessions/{session.id}/roster", headers=instance.staff)).json()
    line = (await instance.client.get(f"{API}/sessions/{session.id}/line", headers=instance.staff)).json()
    assert [one["reach"] for one in roster["items"] + line["items"]] == ["unreached", "trying"]
    shown = await instance.show(seated)
    assert [one["route"] for one in shown["reached"][0]["tried"]] == ["phone", "phone", "postal"]
    for path in (f"/guichet/seances/{session.id}", f"/guichet/inscriptions/{seated['id']}"):
        page = (await instance.client.get(path, headers=instance.staff)).text
        assert "Essayé par téléphone, 2 fois, par la poste." in page.replace("\u00a0", " "), path
    page = (await instance.client.get(f"/guichet/seances/{session.id}/attente", headers=instance.staff)).text
    assert "Pas encore jointe." in page


async def test_the_person_reads_that_it_was_tried_in_vain(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    person = (await instance.register(session.id, 1, **BY_PHONE)).json()
    path = f"/mon-inscription/{person['manage_token']}"
    assert "pas pu vous joindre" not in (await instance.client.get(path)).text
    await hear(instance, person, IN_VAIN)

    page = (await instance.client.get(path)).text
    assert "Nous n’avons pas pu vous joindre." in page
    mine = await instance.client.get(f"{API}/registrations/{person['id']}", headers=bearer(person))
    assert mine.json()["reached"][0]["outcome"] == "not_told"


async def test_what_is_older_changes_nothing_and_an_erasure_takes_it_away(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    person = (await instance.register(session.id, 1, **BY_PHONE)).json()
    await hear(instance, person, notice("told", ("phone", "reached")), version=4)
    await hear(instance, person, IN_VAIN, version=3)
    assert await unreached(instance, session) == []

    await hear(instance, person, version=5, gone=True)
    await hear(instance, person, IN_VAIN, version=4)
    assert (await instance.show(person))["reached"] == []


async def test_only_staff_may_ask_who_was_not_reached(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    answer = await instance.client.get(f"{API}/sessions/{session.id}/unreached")
    assert answer.status_code == 401


async def unreached(instance: Instance, session: SessionState) -> list[dict[str, Any]]:
    answer = await instance.client.get(f"{API}/sessions/{session.id}/unreached", headers=instance.staff)
    return list(answer.json()["items"])
