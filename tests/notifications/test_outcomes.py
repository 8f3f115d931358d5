"""What a call or a letter leads to."""

from datetime import timedelta

from libs.messaging.contracts import ContactDetails
from services.notifications.outcomes import after, outcomes_for

COUPLE = ContactDetails(mobile="+14185550101", phone="+14185550102", postal="12, rue du Pont\nQuébec")


def test_a_person_who_was_reached_or_told_is_done_with() -> None:
    for name in ("reached", "told"):
        assert after(name, route="phone", tried=(), contact=COUPLE).status == "done"


def test_a_silent_telephone_rings_again_later() -> None:
    again = after("no_answer", route="phone", tried=(), contact=COUPLE)
    assert (again.status, again.route) == ("queued", "phone")
    assert again.wait.total_seconds() > 0


def test_a_silent_telephone_rings_again_before_it_is_too_late() -> None:
    def wait(left: timedelta | None) -> timedelta:
        return after("no_answer", route="phone", tried=(), contact=COUPLE, left=left).wait

    assert wait(timedelta(minutes=14)) == timedelta(minutes=7)
    assert wait(timedelta(days=3)) == wait(None) == wait(timedelta(minutes=-1)) == timedelta(hours=2)


def test_a_wrong_number_leads_to_the_next_route_and_at_last_to_the_unreached() -> None:
    first = after("wrong_number", route="mobile", tried=("email",), contact=COUPLE)
    assert (first.status, first.route, first.tried) == ("queued", "phone", ("email", "mobile"))
    second = after("gave_up", route="phone", tried=first.tried, contact=COUPLE)
    assert (second.status, second.route) == ("queued", "postal")
    third = after("returned", route="postal", tried=second.tried, contact=COUPLE)
    assert third.status == "failed"


def test_letters_are_posted_and_telephones_are_not() -> None:
    assert "posted" in outcomes_for("postal")
    assert "posted" not in outcomes_for("phone")
    assert "no_answer" not in outcomes_for("postal")
