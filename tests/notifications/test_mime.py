"""The message as other programs read it: laid out as they need it, whatever people typed."""

import email
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from typing import cast

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.contracts import Cause, ContactDetails
from libs.settings import Settings
from services.notifications import compose, mime
from services.notifications.sender import Sender
from services.notifications.wording import Facts
from tests.notifications.facts import Person, cause_of, session_facts

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
MESSAGE_ID = "<7d7b7f0c-0000-5000-8000-000000000001@test.tournee.internal>"


@pytest.fixture
def sender(settings: Settings) -> Sender:
    return Sender.of(settings)


def composed(cause: Cause, sender: Sender, person: Person | None = None) -> tuple[bytes, EmailMessage]:
    person = (person or Person()).after(cause)
    raw = compose.email(
        Facts(person.state, person.causes[-1]),
        recipient=mime.wire_address(person.contact.email or ""),
        message_id=MESSAGE_ID,
        sender=sender,
        now=NOW,
    )
    return raw, cast(EmailMessage, email.message_from_bytes(raw, policy=default))


def layout(message: EmailMessage) -> object:
    parts = (
        [layout(cast(EmailMessage, part)) for part in message.iter_parts()] if message.is_multipart() else []
    )
    return (message.get_content_type(), *parts)


def test_an_invitation_stands_inline_and_attached(sender: Sender) -> None:
    _, message = composed(cause_of("confirmed"), sender)
    assert layout(message) == (
        "multipart/mixed",
        ("multipart/alternative", ("text/plain",), ("text/html",), ("text/calendar",)),
        ("application/ics",),
    )
    inline, attached = (
        next(part for part in message.walk() if part.get_content_type() == kind)
        for kind in ("text/calendar", "application/ics")
    )
    assert inline.get_param("method") == "REQUEST"
    assert inline["Content-Transfer-Encoding"] == "base64"
    assert attached.get_filename() == "invite.ics"
    assert inline.get_payload(decode=True) == attached.get_payload(decode=True)
    calendar = icalendar.Calendar.from_ical(cast(bytes, inline.get_payload(decode=True)))
    assert calendar["METHOD"] == "REQUEST"


@pytest.mark.parametrize("name", ["waitlisted", "offered", "declined", "reminder_1d", "cancelled_by_person"])
def test_without_a_calendar_it_is_text_and_html_alone(name: str, sender: Sender) -> None:
    _, message = composed(cause_of(name), sender)
    assert layout(message) == ("multipart/alternative", ("text/plain",), ("text/html",))
    assert not message.defects


def test_the_headers_say_what_it_is_and_track_nobody(sender: Sender) -> None:
    _, message = composed(cause_of("confirmed"), sender, Person(language="en"))
    assert message["From"].addresses[0].display_name == "Tournée Capitale-Nationale"
    assert str(message["From"].addresses[0].addr_spec) == "inscriptions@test.tournee.internal"
    assert message["To"].addresses[0].display_name == "Aline Tremblay"
    assert message["Message-ID"] == MESSAGE_ID
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    assert message["Date"].datetime == NOW
    assert message["Subject"].startswith("You have a seat: Le courriel, pas à pas, ")


def test_a_repeat_is_the_same_message_to_the_byte(sender: Sender) -> None:
    person = Person()
    cause = cause_of("confirmed")
    assert composed(cause, sender, person)[0] == composed(cause, sender, person)[0]


def test_lines_are_short_and_end_as_mail_wants(sender: Sender) -> None:
    long = session_facts(title="Très long " * 40, bring="Ô" * 3000)
    raw, message = composed(cause_of("confirmed", session=long), sender)
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert raw.isascii()
    assert message["Subject"].count("Très long") == 40


HOSTILE_TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=80) | st.sampled_from(
    [
        "Aline\r\nBcc: all@example.org",
        '"Aline" <x@y.z>',
        "=?utf-8?q?x?=",
        "李小龍",
        "O’Brien, (Jr.); \\",
        "é" * 79,
    ]
)


@given(name=HOSTILE_TEXT, title=HOSTILE_TEXT)
def test_names_and_titles_can_hold_anything(name: str, title: str) -> None:
    content = mime.Content(subject=title, text="texte\n", html="<p>texte</p>\n", language="fr")
    raw = mime.build(
        content,
        sender_name="Tournée",
        sender="a@example.org",
        recipient_name=name,
        recipient="b@example.org",
        message_id=MESSAGE_ID,
        date=NOW,
    )
    message = cast(EmailMessage, email.message_from_bytes(raw, policy=default))
    assert sorted(message.keys()) == sorted(
        [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Content-Language",
            "Auto-Submitted",
            "X-Auto-Response-Suppress",
            "MIME-Version",
            "Content-Type",
        ]
    )
    assert [address.addr_spec for address in message["To"].addresses] == ["b@example.org"]
    assert squeezed(message["To"].addresses[0].display_name) == squeezed(mime.one_line(name))
    assert squeezed(str(message["Subject"])) == squeezed(mime.one_line(title))
    assert not [part.defects for part in message.walk() if part.defects]


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (" aline@example.org ", "aline@example.org"),
        ("aline+ateliers@québec.ca", "aline+ateliers@xn--qubec-csa.ca"),
        ("élise@example.org", "élise@example.org"),
    ],
)
def test_an_address_is_written_as_servers_take_it(given_: str, expected: str) -> None:
    assert mime.wire_address(given_) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "aline",
        "@example.org",
        "aline@",
        "a b@example.org",
        "a@b\r\nBcc: c@d",
        "a@b@c",
        "<a@b>",
        "a@b..c",
        "a\0@b.c",
    ],
)
def test_what_no_mail_can_carry_is_refused(address: str) -> None:
    with pytest.raises(mime.BadAddress):
        mime.wire_address(address)


def test_an_address_with_accents_goes_as_utf8(sender: Sender) -> None:
    person = Person(contact=ContactDetails(email="élise@québec.ca"))
    raw, _ = composed(cause_of("confirmed"), sender, person)
    assert "élise@xn--qubec-csa.ca".encode() in raw
