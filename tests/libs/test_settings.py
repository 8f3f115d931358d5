"""Settings: every bad value is a sentence that names its variable and never repeats what may be a secret."""

import os

import pytest

from libs.settings import BadSettings, Settings, read_settings


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        for spelling in {name, name.upper()} & set(os.environ):
            monkeypatch.delenv(spelling)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "postgresql://localhost:port/x"),
        ("BUS_URL", "amqp://localhost"),
        ("SMTP_URL", "localhost"),
        ("SMS_URL", "smpp://gateway.example.org"),
        ("SMS_URL", "http://gateway.example.org/messages"),
        ("SMS_TOKEN", "short-value"),
        ("PUBLIC_URL", "tournee.example"),
        ("INSTANCE", "Capitale Nationale"),
        ("CALENDAR_DOMAIN", "not a domain"),
        ("SECRET_KEY", "short-value"),
        ("ADMIN_TOKEN", "short-value"),
        ("DEMO", "perhaps"),
        ("REMINDER_DAYS", "7;1"),
        ("REMINDER_DAYS", "-3"),
    ],
)
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as refused:
        read_settings()
    assert variable in str(refused.value)
    assert value not in str(refused.value)


def test_the_catcher_is_never_opened_to_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    with pytest.raises(BadSettings, match="SMTP_URL"):
        read_settings()


def test_an_empty_value_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "")
    assert read_settings().smtp_url is None


@pytest.mark.parametrize(
    ("host", "base_url"), [("127.0.0.1", "http://127.0.0.1:8000"), ("::1", "http://[::1]:8000")]
)
def test_links_start_with_the_address_that_answers(
    monkeypatch: pytest.MonkeyPatch, host: str, base_url: str
) -> None:
    monkeypatch.setenv("HOST", host)
    assert read_settings().base_url == base_url


def test_reminders_are_days_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMINDER_DAYS", "14, 2")
    assert read_settings().reminder_days == (14, 2)
