"""Every notice in both languages, with as much and as little to say as there can be."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from libs.messaging.contracts import Cause, ContactDetails, DrawFacts, WaitFacts
from libs.settings import Settings
from services.notifications import wording
from services.notifications.sender import Sender
from services.notifications.wording import Facts, say
from tests.notifications.facts import Person, alternative, cause_of, elsewhere, moved, session_facts

NOW = datetime.now(UTC)
CAUSES = (
    "pending",
    "draw_cancelled",
    "confirmed",
    "waitlisted",
    "offered",
    "offer_expired",
    "declined",
    "cancelled_by_person",
    "cancelled_by_staff",
    "session_changed",
    "session_cancelled",
    "volunteers_asked",
    "transferred",
    "wait_noted",
    "wait_ended",
    "wait_over",
    "reminder_7d",
    "reminder_1d",
    "reconfirm_asked",
    "released_unanswered",
)
HOSTILE = '<script>alert("x")</script> & {{ 7*7 }} %(name)s'


@pytest.fixture
def sender(settings: Settings) -> Sender:
    return Sender.of(settings)


def minimal(name: str) -> Cause:
    """As little as a message can carry: no place, nothing to bring, no reason, no deadline."""
    facts = session_facts(bring="", venue=None)
    return cause_of(name, session=facts, offer_expires_at=None)


def maximal(name: str, **changes: Any) -> Cause:
    """Everything that a message can carry."""
    facts = session_facts().model_copy(
        update={"change_reason": "La salle est en travaux.", "cancel_reason": "Tempête de neige."}
    )
    given: dict[str, Any] = {
        "session": moved(facts, days=2),
        "previous": facts,
        "invited": True,
        "position": 4,
        "reason": "Une raison.",
        "offer_expires_at": NOW + timedelta(hours=20),
        "draw": DrawFacts(
            ticket=3,
            rank=5,
            tickets=17,
            closes_at=NOW + timedelta(days=1),
            url="https://example.org/tirage/7",
        ),
        "alternatives": (alternative(20), alternative(22, venue_name=None, municipality=None, available=1)),
    }
    return cause_of(name, **(given | changes))


def online(name: str) -> Cause:
    facts = session_facts(modality="online", venue=None, online_url="https://video.example.org/abc")
    return maximal(name, seat_kind="online", session=facts)


def waiting(name: str) -> Cause:
    """Everything, for who has no seat."""
    return maximal(name, status="waitlisted")


def facts_of(cause: Cause, language: str = "fr", **person: Any) -> Facts:
    return Facts(Person(language=language, causes=(cause,), **person).state, cause)


VARIANTS = {"minimal": minimal, "maximal": maximal, "online": online, "waiting": waiting}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("name", CAUSES)
def test_every_notice_can_be_said(name: str, language: str, variant: str, sender: Sender) -> None:
    facts = facts_of(VARIANTS[variant](name), language)
    subject = say(f"{facts.folder}/subject.txt", facts, sender, NOW)
    text = say(f"{facts.folder}/body.txt", facts, sender, NOW)
    html = say(f"{facts.folder}/body.html", facts, sender, NOW)
    words = say(f"{facts.folder}/words.txt", facts, sender, NOW)
    letter = say(f"{facts.folder}/words.txt", facts, sender, NOW, on_paper=True)
    assert subject.count("\n") == 1
    assert facts.cause.session.title in subject
    for content in (text, html, words, letter):
        assert "Aline Tremblay" in content
        assert facts.cause.session.title in content
        assert "KMPR-4827" in content
        assert "555-0142" in content
        assert "None" not in content
        assert "\n\n\n" not in content
    assert f'lang="{language}"' in html
    assert ("Bonjour" if language == "fr" else "Hello") in text.splitlines()[0]


@pytest.mark.parametrize("variant", ["maximal", "waiting"])
@pytest.mark.parametrize("name", CAUSES)
def test_the_html_says_the_same_words_as_the_text(name: str, variant: str, sender: Sender) -> None:
    facts = facts_of(VARIANTS[variant](name))
    html = words_of(visible(say(f"{facts.folder}/body.html", facts, sender, NOW)))
    text = words_of(say(f"{facts.folder}/body.txt", facts, sender, NOW))
    addresses = {word for word in text if word.startswith("http")}
    assert text - html - addresses <= {"", "1", "2", "lien"}, "the HTML leaves something out"
    assert html - text <= {"", "bouton"}, "the text leaves something out"


@pytest.mark.parametrize("name", CAUSES)
def test_the_html_needs_nothing_from_anywhere_and_has_one_button(name: str, sender: Sender) -> None:
    html = say(f"{facts_of(maximal(name)).folder}/body.html", facts_of(maximal(name)), sender, NOW)
    assert not re.search(r"<(img|script|link|iframe|object|style)\b|\bsrc=|url\(", html)
    assert html.count("display:inline-block") == 1
    assert "max-width:600px" in html
    assert len(html.encode()) < 20_000


def test_what_people_typed_is_only_text(sender: Sender) -> None:
    cause = maximal("session_cancelled", reason=HOSTILE, session=session_facts(title=HOSTILE))
    facts = facts_of(cause, name=HOSTILE)
    html = say("session_cancelled/body.html", facts, sender, NOW)
    assert "<script" not in html
    assert "49" not in visible(html).replace(sender.phone, "")
    assert HOSTILE in say("session_cancelled/body.txt", facts, sender, NOW)
    assert HOSTILE in say("session_cancelled/subject.txt", facts, sender, NOW)


@pytest.mark.parametrize(
    "path", sorted(wording.FOLDER.rglob("*.txt")), ids=lambda p: str(p.relative_to(wording.FOLDER))
)
def test_french_sentences_are_short_and_typeset(path: Path) -> None:
    source = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for sentence in re.findall(r'_\("(.*?)"', source):
        assert "'" not in sentence
        assert not re.search(r"[^\u00a0][:?!»;]", sentence.replace("%(", "")), sentence
        for part in re.split(r"[.?:] ", sentence):
            assert len(re.findall(r"[^\s«»]+", part)) <= 15, part


@pytest.mark.parametrize(
    ("days", "expected"), [(0.0, "aujourd’hui"), (1.0, "demain"), (7.0, "dans 7"), (2.0, "dans 2")]
)
def test_a_reminder_says_how_far_away_it_is(days: float, expected: str, sender: Sender) -> None:
    facts = facts_of(cause_of("reminder_7d", session=session_facts(days=days)))
    first = say("reminder/body.txt", facts, sender, NOW).splitlines()[0].replace("\u00a0", " ")
    assert expected in first


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("confirmed", "Vous gardez votre place."),
        ("waitlisted", "Vous êtes toujours en attente d’une place."),
        ("offered", "La place est toujours gardée pour vous."),
    ],
)
def test_a_change_says_what_becomes_of_the_seat(status: str, expected: str, sender: Sender) -> None:
    facts = facts_of(maximal("session_changed", status=status))
    assert expected in say("session_changed/body.txt", facts, sender, NOW)


def test_a_change_names_what_changed(sender: Sender) -> None:
    before = session_facts()
    cases = {
        "Nouvelle date": moved(before, days=1),
        "Nouvelle heure": moved(before, hours=1),
        "Nouveau lieu": before.model_copy(update={"venue": None, "modality": "online"}),
        "Changement": moved(before, days=1).model_copy(update={"title": "Autre"}),
    }
    for expected, after in cases.items():
        facts = facts_of(cause_of("session_changed", previous=before, session=after))
        assert say("session_changed/subject.txt", facts, sender, NOW).startswith(expected)


def test_who_waits_learns_how_many_are_before(sender: Sender) -> None:
    def text(position: int | None) -> str:
        return say("waitlisted/body.txt", facts_of(cause_of("waitlisted", position=position)), sender, NOW)

    assert "prochaine personne" in text(1)
    assert "1 personne attend avant vous" in text(2).replace("\u00a0", " ")
    assert "3 personnes attendent avant vous" in text(4).replace("\u00a0", " ")
    assert "avant vous" not in text(None)


def test_who_asks_for_a_draw_learns_their_number_and_when_it_is(sender: Sender) -> None:
    def text(template: str, **draw: Any) -> str:
        given = {"ticket": 3, "closes_at": NOW + timedelta(days=1), "url": "https://example.org/tirage/7"}
        cause = cause_of("pending", status="pending", draw=DrawFacts(**(given | draw)))
        return say(f"pending/{template}.txt", facts_of(cause), sender, NOW)

    late = {"closes_at": NOW - timedelta(hours=1)}
    for template in ("body", "words"):
        assert "Votre numéro dans le tirage est le 3." in text(template)
        assert "donne la même chance" in text(template)
        assert "après les autres demandes" in text(template, **late)
        assert "numéro dans le tirage" not in text(template, **late)
    assert "https://example.org/tirage/7" in text("body")


@pytest.mark.parametrize("name", ["confirmed", "waitlisted"])
def test_a_draw_says_which_rank_it_gave(name: str, sender: Sender) -> None:
    drawn = DrawFacts(ticket=3, rank=5, tickets=17, closes_at=NOW, url="https://example.org/tirage/7")
    for template in ("body.txt", "body.html", "words.txt"):
        said = say(f"{name}/{template}", facts_of(cause_of(name, draw=drawn)), sender, NOW)
        assert "votre numéro 3 a eu le rang 5 sur 17" in said
        late = drawn.model_copy(update={"rank": None})
        said = say(f"{name}/{template}", facts_of(cause_of(name, draw=late)), sender, NOW)
        assert "rang" not in said.replace("mon rang", "")


def test_the_room_link_is_only_in_the_mail_of_who_has_the_seat(sender: Sender) -> None:
    assert "https://video.example.org/abc" in say(
        "confirmed/body.txt", facts_of(online("confirmed")), sender, NOW
    )
    for name in ("cancelled_by_person", "declined", "offer_expired"):
        assert "video.example.org" not in say(f"{name}/body.txt", facts_of(online(name)), sender, NOW)


def test_the_zone_is_said_online_only(sender: Sender) -> None:
    assert "heure de l" in say("confirmed/body.txt", facts_of(online("confirmed")), sender, NOW)
    assert "heure de l" not in say("confirmed/body.txt", facts_of(maximal("confirmed")), sender, NOW)


@pytest.mark.parametrize(
    ("language", "first", "subject"),
    [
        ("fr", "Répondez avant 14 h 15 aujourd’hui.", "Une place pour vous, répondez avant 14 h 15 :"),
        ("en", "Answer before 2:15 p.m. today.", "A seat for you, answer before 2:15 p.m.:"),
    ],
)
def test_an_offer_that_ends_today_is_answered_by_the_clock(
    language: str, first: str, subject: str, sender: Sender
) -> None:
    now = datetime(2027, 1, 20, 19, tzinfo=UTC)
    facts = facts_of(cause_of("offered", offer_expires_at=now + timedelta(minutes=15)), language)
    for template in ("offered/body.txt", "offered/body.html"):
        assert first in say(template, facts, sender, now).replace("\u00a0", " ")
    assert say("offered/subject.txt", facts, sender, now).replace("\u00a0", " ").startswith(subject)
    spoken = say("offered/words.txt", facts, sender, now).replace("\u00a0", " ")
    assert ("14 h 15 aujourd’hui." if language == "fr" else "2:15 p.m. today.") in spoken
    # Midnight lies between now and the end: the day is said.
    late = facts_of(cause_of("offered", offer_expires_at=datetime(2027, 1, 21, 5, 5, tzinfo=UTC)))
    assert "jeudi 21 janvier 2027, à 0 h 05." in say("offered/body.txt", late, sender, now).replace(
        "\u00a0", " "
    )


@pytest.mark.parametrize(
    ("language", "hours"),
    [
        (
            "fr",
            "Ce délai compte seulement les heures où l’équipe est là : du lundi au vendredi, de 9 h à 16 h,"
            " sauf les jours fériés.",
        ),
        (
            "en",
            "Only the hours when the team is there count for this deadline:"
            " Monday to Friday, from 9 a.m. to 4 p.m., except on public holidays.",
        ),
    ],
)
@pytest.mark.parametrize("cause", ["offered", "session_changed"])
def test_whose_hours_a_deadline_counts_is_said_on_the_telephone_and_in_letters(
    cause: str, language: str, hours: str, sender: Sender
) -> None:
    end = datetime(2027, 1, 26, 20, tzinfo=UTC)
    week = (*[((540, 960),)] * 5, (), ())
    told = facts_of(
        cause_of(cause, status="offered", offer_expires_at=end, office_week=week, session=session_facts()),
        language,
    )
    by_mail = facts_of(cause_of(cause, status="offered", offer_expires_at=end), language)
    for on_paper in (False, True):
        words = say(f"{cause}/words.txt", told, sender, NOW, on_paper=on_paper).replace("\u00a0", " ")
        assert hours in words
        assert "Ce délai" not in say(f"{cause}/words.txt", by_mail, sender, NOW, on_paper=on_paper)
    assert hours in say(f"{cause}/body.txt", told, sender, NOW).replace("\u00a0", " ")


def transfer(status: str, **changes: Any) -> Facts:
    given: dict[str, Any] = {"status": status, "session": elsewhere(), "previous": session_facts()}
    return facts_of(cause_of("transferred", **(given | changes)))


def test_a_transfer_says_what_was_and_what_is(sender: Sender) -> None:
    text = say("transferred/body.txt", transfer("confirmed", invited=True), sender, NOW)
    assert "Votre place a changé d’atelier." in text.splitlines()[0]
    before, _now, after = text.partition("Maintenant, vous avez une place à cet atelier\u00a0:")
    assert "Le courriel, pas à pas" in before
    assert "Bibliothèque Monique-Corriveau" in before
    assert "La tablette, pas à pas" in after
    assert "350, rue Saint-Joseph Est" in after
    assert "Annulez sur votre page, ou appelez-nous." in after
    assert "Il remplace l’ancien." in after
    assert "Il remplace l’ancien." not in say("transferred/body.txt", transfer("confirmed"), sender, NOW)


def test_a_transfer_to_a_full_session_says_the_place_in_line(sender: Sender) -> None:
    text = say("transferred/body.txt", transfer("waitlisted", position=3), sender, NOW)
    assert "Vous êtes en attente d’une place." in text.splitlines()[0]
    assert "2 personnes attendent avant vous" in text.replace("\u00a0", " ")
    assert "ne venez pas" in text
    assert "fichier" not in text
    taken_back = say("transferred/body.txt", transfer("waitlisted", invited=True), sender, NOW)
    assert "il retire l’ancien atelier de votre calendrier" in taken_back


def test_a_transfer_does_not_tell_why(sender: Sender) -> None:
    facts = transfer("confirmed", reason="Se dispute avec son voisin.")
    for template in ("body.txt", "body.html", "words.txt"):
        assert "voisin" not in say(f"transferred/{template}", facts, sender, NOW)


def test_a_transfer_from_an_online_session_gives_its_zone_and_no_link(sender: Sender) -> None:
    link = "https://video.example.org/abc"
    online = session_facts(modality="online", venue=None, online_url=link, timezone="America/Halifax")
    text = say("transferred/body.txt", transfer("confirmed", previous=online), sender, NOW)
    assert "heure de l’Atlantique" in text
    assert link not in text


def test_who_was_never_told_of_a_transfer_hears_it_first(sender: Sender) -> None:
    facts = transfer("confirmed")
    changed = facts_of(cause_of("session_cancelled", session=elsewhere()))
    untold = replace(changed, untold_transfer=facts.cause.previous)
    for on_paper in (False, True):
        words = say("session_cancelled/words.txt", untold, sender, NOW, on_paper=on_paper)
        assert words.index("Nous vous avons changé d’atelier.") < words.index("Votre atelier est annulé.")
        assert "Le courriel, pas à pas" in words
    # Who has heard of the new session since then knows.
    knows = replace(untold, told=elsewhere())
    assert "changé d’atelier" not in say("session_cancelled/words.txt", knows, sender, NOW)
    # What they heard of last counts, not what the session they left was changed to.
    older = replace(untold, told=session_facts(title="L’ancien titre"))
    assert "L’ancien titre" in say("session_cancelled/words.txt", older, sender, NOW)


def test_an_offer_is_answered_by_the_clock_of_the_place(sender: Sender) -> None:
    there = session_facts(timezone="America/St_Johns")
    end = datetime(2027, 1, 20, 20, 30, tzinfo=UTC)
    facts = facts_of(cause_of("offered", session=there, offer_expires_at=end))
    line = say("offered/body.txt", facts, sender, NOW).splitlines()[0].replace("\u00a0", " ")
    assert "mercredi 20 janvier 2027, à 17 h." in line


def test_a_letter_carries_name_and_address_and_no_link_to_a_page(sender: Sender) -> None:
    contact = ContactDetails(postal="12, rue du Pont\nQuébec (QC)  G1K 1A1")
    facts = facts_of(maximal("offered"), contact=contact)
    letter = say("offered/words.txt", facts, sender, NOW, on_paper=True)
    assert "Aline Tremblay\n12, rue du Pont\nQuébec (QC)  G1K 1A1" in letter
    assert "mon-inscription" not in letter


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.hidden = False

    def handle_starttag(self, tag: str, _attributes: list[tuple[str, str | None]]) -> None:
        self.hidden = tag in {"title", "head"} or self.hidden
        self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = self.hidden and tag != "head"
        self.found.append(" ")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.found.append(data)


def visible(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    return "".join(parser.found)


def words_of(text: str) -> set[str]:
    return {word.strip(",.:\u00a0") for word in text.split()}


@pytest.mark.parametrize("name", ["wait_noted", "wait_ended", "wait_over"])
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_wait_is_told_with_what_it_is_for_and_leads_to_its_own_page(
    name: str, language: str, sender: Sender
) -> None:
    wish = WaitFacts(
        theme="courriel",
        place="Sherbrooke",
        km=25,
        online=True,
        first_day=date(2027, 1, 5),
        last_day=date(2027, 3, 31),
    )
    facts = facts_of(cause_of(name, wait=wish, status="waitlisted"), language)
    for part in ("body.txt", "body.html", "words.txt"):
        told = say(f"{name}/{part}", facts, sender, NOW)
        assert "31" in told
        assert "2027" in told
        if part != "words.txt":
            assert "25\u00a0km" in told
            assert "Sherbrooke" in told
            assert "/mon-attente/" in told
            assert "/mon-inscription/" not in told


@pytest.mark.parametrize("part", ["body.txt", "body.html", "words.txt"])
def test_who_has_a_seat_hears_that_their_other_waits_are_over(part: str, sender: Sender) -> None:
    ended, alone = (facts_of(maximal("confirmed", ends_wait=ends)) for ends in (True, False))
    assert "Vos autres attentes sont terminées" in say(f"confirmed/{part}", ended, sender, NOW)
    assert "autres attentes" not in say(f"confirmed/{part}", alone, sender, NOW)


@pytest.mark.parametrize(
    ("name", "language", "expected"),
    [
        ("confirmed", "fr", "Vous avez 2 places."),
        ("confirmed", "en", "You have 2 seats."),
        ("offered", "fr", "2 places se sont libérées pour vous."),
        ("waitlisted", "fr", "Vous êtes en attente de 2 places ensemble."),
        ("reminder_7d", "fr", "Vous avez 2 places et n’avez rien à faire."),
        ("offer_expired", "fr", "Les 2 places ne sont plus gardées pour vous."),
        ("released_unanswered", "fr", "Vos 2 places sont allées à d’autres personnes."),
        ("released_unanswered", "en", "Your 2 seats have gone to other people."),
        ("declined", "fr", "Les places iront à d’autres personnes."),
        ("reconfirm_asked", "fr", "Si vous ne venez pas, d’autres personnes en profiteront."),
    ],
)
def test_a_party_is_told_of_all_its_seats(name: str, language: str, expected: str, sender: Sender) -> None:
    facts = facts_of(maximal(name), language)
    party = replace(facts, state=facts.state.model_copy(update={"party_size": 2, "seats": 2}))
    assert expected in say(f"{facts.folder}/body.txt", party, sender, NOW).replace("\u00a0", " ")
    assert expected in words_of_html(party, sender)


def words_of_html(facts: Facts, sender: Sender) -> str:
    page = re.sub(r"<[^>]+>", " ", say(f"{facts.folder}/body.html", facts, sender, NOW))
    return " ".join(page.split())
