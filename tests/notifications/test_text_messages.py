"""What a text message says, in both languages and in two segments at most."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from libs.messaging.contracts import ContactDetails
from libs.settings import Settings
from services.notifications import gsm7, wording
from services.notifications.compose import text_message
from services.notifications.sender import Sender
from tests.notifications.facts import VENUE, cause_of, moved, session_facts
from tests.notifications.test_wording import CAUSES, VARIANTS, facts_of, transfer

NOW = datetime(2026, 12, 1, 15, tzinfo=UTC)
MOBILE = ContactDetails(mobile="+14185550101")


@pytest.fixture
def sender(settings: Settings) -> Sender:
    """An instance with as long a name and address as real ones have."""
    return replace(
        Sender.of(settings),
        name="Tournée Abitibi-Témiscamingue",
        base_url="https://ateliers.reseaubiblioatnq.qc.ca",
    )


def say(name: str, sender: Sender, language: str = "fr", variant: str = "maximal") -> str:
    return text_message(facts_of(VARIANTS[variant](name), language, contact=MOBILE), sender=sender, now=NOW)


@pytest.mark.parametrize("folder", sorted(p.parent.name for p in wording.FOLDER.glob("*/subject.txt")))
def test_every_notice_has_a_text_message(folder: str) -> None:
    assert (wording.FOLDER / folder / "sms.txt").exists()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("name", CAUSES)
def test_two_segments_are_enough_for_all_that_must_be_said(
    name: str, language: str, variant: str, sender: Sender
) -> None:
    text = say(name, sender, language, variant)
    assert gsm7.segments(text) <= 2
    assert text == gsm7.spelled(text)
    assert text.startswith("Tournée Abitibi-Témiscamingue")
    assert "https://ateliers.reseaubiblioatnq.qc.ca/" in text or "http://testserver/seances/" in text
    assert "418" in text
    assert "None" not in text
    assert "Aline" not in text
    assert "Le courriel, pas à pas" in text
    assert (" ou 418" in text) is (language == "fr")


@pytest.mark.parametrize("name", ["confirmed", "waitlisted", "offered", "session_changed", "reminder_1d"])
def test_who_may_act_gets_the_link_to_their_page(name: str, sender: Sender) -> None:
    text = say(name, sender)
    link = next(word for word in text.split() if "/mon-inscription/" in word)
    facts = facts_of(VARIANTS["maximal"](name), contact=MOBILE)
    # Another person, another link: the token is the registration's own, and whole.
    assert len(link) == len(sender.manage_url(facts.state.id, facts.state.generation))


@pytest.mark.parametrize("name", ["declined", "cancelled_by_person", "session_cancelled", "offer_expired"])
def test_who_has_nothing_to_act_on_gets_a_way_on(name: str, sender: Sender) -> None:
    assert "/mon-inscription/" not in say(name, sender)


def test_an_offer_says_until_when_and_that_one_answers(sender: Sender) -> None:
    end = datetime(2026, 12, 3, 22, tzinfo=UTC)
    facts = facts_of(cause_of("offered", offer_expires_at=end), contact=MOBILE)
    text = text_message(facts, sender=sender, now=NOW)
    assert "Une place s'est libérée pour vous. Répondez avant le jeudi 3 décembre, 17 h." in text
    assert "Répondre : https://" in text


def test_a_change_says_what_changed_and_that_the_seat_stays(sender: Sender) -> None:
    before = session_facts()
    facts = facts_of(cause_of("session_changed", previous=before, session=moved(before, days=1)))
    text = text_message(facts, sender=sender, now=NOW)
    assert "Notez la nouvelle date. Vous gardez votre place." in text


def test_a_transfer_names_the_new_session(sender: Sender) -> None:
    text = text_message(transfer("confirmed"), sender=sender, now=NOW)
    assert "La tablette, pas à pas" in text


def test_a_long_title_makes_way_before_the_link_does(sender: Sender) -> None:
    title = "Apprivoiser sa tablette, ses applications et ses photos, de la mise en marche au partage"
    name = "Bibliothèque municipale et scolaire de Saint-Mathieu-d’Harricana, salle communautaire"
    venue = VENUE.model_copy(update={"name": name})
    session = session_facts(title=title, venue=venue)
    offer = cause_of("offered", session=session, offer_expires_at=NOW + timedelta(days=2))
    text = text_message(facts_of(offer), sender=sender, now=NOW)
    assert gsm7.segments(text) <= 2
    assert "Apprivoiser sa tablette" in text
    assert "/mon-inscription/" in text
    assert text.endswith(" ou 418 555-0142")


@given(title=st.text(max_size=200), place=st.text(max_size=120))
@example_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_session_is_called_the_message_stays_short(sender: Sender, title: str, place: str) -> None:
    session = session_facts(title=title, venue=VENUE.model_copy(update={"name": place}))
    text = text_message(facts_of(cause_of("offered", session=session)), sender=sender, now=NOW)
    assert gsm7.segments(text) <= 2
    assert "/mon-inscription/" in text


def test_an_instance_with_an_endless_address_still_sends_the_whole_link(sender: Sender) -> None:
    far = replace(sender, base_url="https://" + "tres-long." * 30 + "example.org")
    text = say("offered", far)
    assert gsm7.segments(text) > 2
    assert far.base_url in text
    assert "418 555-0142" in text
