"""The life of a registration across the services, as the people concerned live it."""

from datetime import datetime

from tests.flows.running import RunningInstance, calendar_part, text_of
from tests.waiting import eventually


async def test_from_the_last_seat_to_the_next_person_in_line(instance: RunningInstance) -> None:
    session = await instance.published(capacity=1)
    aline = await instance.register(session["id"], "Aline Tremblay")
    bruno = await instance.register(session["id"], "Bruno Roy")
    assert (aline["status"], bruno["status"], bruno["position"]) == ("confirmed", "waitlisted", 1)

    (confirmed,) = await instance.mails_to("Aline Tremblay", 1)
    (waiting,) = await instance.mails_to("Bruno Roy", 1)
    invitation = calendar_part(confirmed)
    assert invitation["METHOD"] == "REQUEST"
    assert invitation["SEQUENCE"] == "0"
    assert invitation["DTSTART"] == "20270203T133000"
    assert aline["manage_url"] in text_of(confirmed)
    assert aline["confirmation_number"].replace("-", "") in text_of(confirmed).replace("-", "").replace(
        " ", ""
    )
    assert not any(part.get_content_type() == "text/calendar" for part in waiting.walk())

    await instance.act(aline, "cancel")
    assert (await instance.show(bruno))["status"] == "offered"
    _, offered = await instance.mails_to("Bruno Roy", 2)
    assert bruno["manage_url"] in text_of(offered)
    _, cancelled = await instance.mails_to("Aline Tremblay", 2)
    gone = calendar_part(cancelled)
    assert (gone["METHOD"], gone["UID"], gone["STATUS"]) == ("CANCEL", invitation["UID"], "CANCELLED")
    assert int(gone["SEQUENCE"]) > int(invitation["SEQUENCE"])

    assert (await instance.act(bruno, "accept"))["status"] == "confirmed"
    *_, seated = await instance.mails_to("Bruno Roy", 3)
    assert calendar_part(seated)["METHOD"] == "REQUEST"

    async def seats_are_public() -> bool:
        seats = (await instance.public(session["id"]))["seats"]
        return bool(
            (seats["confirmed"], seats["offered"], seats["available"], seats["waitlisted"]) == (1, 0, 0, 0)
        )

    await eventually(seats_are_public)


async def test_a_moved_session_reaches_every_calendar_with_a_higher_sequence(
    instance: RunningInstance,
) -> None:
    session = await instance.published(capacity=2)
    people = {name: await instance.register(session["id"], name) for name in ("Ana", "Bob", "Chloé")}
    first = {name: (await instance.mails_to(name, 1))[0] for name in people}

    for hour in ("14:00", "15:00"):
        await instance.post(
            f"/api/events/v1/sessions/{session['id']}/reschedule",
            {
                "starts_at": f"2027-02-04T{hour}",
                "ends_at": "2027-02-04T16:30",
                "timezone": "America/Toronto",
                "reason": "Panne de courant",
            },
        )

    async def all_changes_known() -> bool:
        found = [await instance.deliveries(person) for person in people.values()]
        return all([item["cause"] for item in items].count("session_changed") == 2 for items in found)

    await eventually(all_changes_known)
    # The notice of a change waits for a minute of quiet: three edits make one message.
    await instance.shift_clock("notifications", 90)
    for name in people:
        mails = await instance.mails_to(name, 2)
        moved = mails[1]
        assert "Panne de courant" in text_of(moved)
        assert "4 février" in text_of(moved)
        assert "15\u00a0h" in text_of(moved), "two moves make one message, with the last time"
        if name != "Chloé":
            before, after = calendar_part(first[name]), calendar_part(moved)
            assert after["UID"] == before["UID"]
            assert int(after["SEQUENCE"]) > int(before["SEQUENCE"])
            assert after["DTSTART"] == "20270204T150000"
    await instance.settled()
    assert [len(await instance.mails(name)) for name in people] == [2, 2, 2]


async def test_a_cancelled_session_tells_everybody_and_leaves_the_calendar_a_trace(
    instance: RunningInstance,
) -> None:
    session = await instance.published()
    other = await instance.published(starts_at="2027-02-10T13:30", ends_at="2027-02-10T15:30")
    await instance.register(session["id"], "Aline")
    await instance.register(session["id"], "Zoé", channel="phone", contact={"phone": "418 555-0142"})

    await instance.post(f"/api/events/v1/sessions/{session['id']}/cancel", {"reason": "Tempête de neige"})

    mails = await instance.mails_to("Aline", 2)
    assert "Tempête de neige" in text_of(mails[1])
    assert other["id"] in text_of(mails[1]), "the nearest other date is proposed"
    assert calendar_part(mails[1])["METHOD"] == "CANCEL"

    async def call_to_make() -> bool:
        page = await instance.client.get("/guichet/appels", headers=instance.staff)
        return "418" in page.text and "Zoé" in page.text

    await eventually(call_to_make)
    feed = (await instance.client.get(f"/seances/{session['id']}.ics")).text
    assert "STATUS:CANCELLED" in feed
    assert "Aline" not in feed


async def test_times_of_four_provinces_are_right_to_the_minute(instance: RunningInstance) -> None:
    places = {
        "America/Winnipeg": "-05:00",
        "America/St_Johns": "-03:30",
        "America/Blanc-Sablon": "-04:00",
        "America/Halifax": "-04:00",
    }
    for zone, offset in places.items():
        session = await instance.published(
            starts_at="2027-01-20T13:30", ends_at="2027-01-20T15:00", timezone=zone
        )
        answer = await instance.public(session["id"])
        starts_at = datetime.fromisoformat(answer["starts_at"])
        assert starts_at == datetime.fromisoformat(f"2027-01-20T13:30:00{offset}"), zone


async def test_whom_a_letter_reached_is_known_wherever_one_looks(instance: RunningInstance) -> None:
    """From the mail server's answer over the stream `reached` to the registration."""
    session = await instance.published(capacity=2)
    mailed = await instance.register(session["id"], "Denise Roy")
    await instance.mails_to("Denise Roy", 1)

    async def is_known() -> bool:
        found = (await instance.show(mailed))["reached"]
        return [(one["cause"], one["outcome"], one["route"]) for one in found] == [
            ("confirmed", "told", "email")
        ]

    await eventually(is_known)
