"""Reminders: when one is due."""

from datetime import UTC, datetime, timedelta

from services.registrations import reminders

NOW = datetime(2027, 1, 10, 14, 0, tzinfo=UTC)
STARTS_AT = NOW + timedelta(hours=20)


def due(confirmed_at: datetime, already: tuple[str, ...] = ()) -> str | None:
    return reminders.due(
        now=NOW, starts_at=STARTS_AT, confirmed_at=confirmed_at, already=already, days=(7, 1)
    )


def test_after_an_outage_only_the_latest_reminder_is_due() -> None:
    mark = due(confirmed_at=NOW - timedelta(days=30))

    assert mark == f"1d@{STARTS_AT.isoformat()}"
    assert reminders.cause_of(mark) == "reminder_1d"
    assert due(confirmed_at=NOW - timedelta(days=30), already=(mark,)) is None


def test_who_was_confirmed_within_the_day_needs_no_reminder() -> None:
    assert due(confirmed_at=NOW) is None
    assert due(confirmed_at=NOW - timedelta(days=2)) == f"1d@{STARTS_AT.isoformat()}"
