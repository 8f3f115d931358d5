"""The shared pages and their parts, rendered as services render them."""

import re
from types import SimpleNamespace

import pytest
from jinja2 import Environment

from libs.settings import Settings
from libs.web.assets import FOLDER
from libs.web.i18n import LANGUAGES, folder_of
from libs.web.problems import Gone, Problem, Unavailable
from libs.web.templating import environment

TEMPLATES = folder_of("libs.web") / "templates"
FORMS = '{% import "macros/forms.html" as forms %}'
SESSIONS = '{% import "macros/session.html" as sessions %}'


def page(name: str, language: str = "fr", **context: object) -> str:
    """A shared page with what `render` gives it."""
    frame = {
        "request": SimpleNamespace(url=SimpleNamespace(path="/")),
        "settings": Settings(mail_catcher=True),
        "staff": None,
        "national": None,
        "request_id": "r-1",
        "language_link": "?lang={}".format,
    }
    return environment("libs.web", language).get_template(name).render(frame | context)


def part(source: str, language: str = "fr", **context: object) -> str:
    env: Environment = environment("libs.web", language)
    return env.from_string(FORMS + SESSIONS + source).render(context)


PAGES: dict[str, dict[str, object]] = {
    "privacy.html": {},
    "accessibility.html": {},
    "sign_in.html": {
        "errors": {"token": "Ce jeton n’est pas le bon."},
        "suite": "/guichet",
        "by_link": False,
    },
    "problem.html": {"problem": Gone()},
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_stands_in_the_frame(name: str, language: str) -> None:
    html = page(name, language, **PAGES[name])
    assert html.count("<h1>") == 1
    assert html.count("<main ") == 1
    assert f'<html lang="{language}">' in html
    assert 'href="tel:+14185550142"' in html
    assert f'href="?lang={"fr" if language == "en" else "en"}"' in html
    for address in ("/vie-privee", "/accessibilite", "/programme", "#contenu"):
        assert f'href="{address}"' in html
    assert len(html.encode()) + len((FOLDER / "main.css").read_bytes()) < 50_000


@pytest.mark.parametrize("name", PAGES)
def test_french_signs_never_stand_at_the_start_of_a_line(name: str) -> None:
    text = re.sub(r"<[^>]+>", " ", page(name, **PAGES[name]))
    assert not re.search(r"\S [;?!»]|\d h\b|« ", text)


def test_nothing_is_inline() -> None:
    for path in TEMPLATES.rglob("*.html"):
        assert not re.search(
            r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=|javascript:", path.read_text()
        ), path


def test_a_problem_offers_a_better_way_out() -> None:
    class Full(Problem):
        status = 409
        slug = "session-full"

    html = page("problem.html", problem=Full(next_href="/seances/1", next_label="Voir trois autres dates"))
    assert '<a class="button" href="/seances/1">Voir trois autres dates</a>' in html
    assert '<a class="button secondary" href="/">' in html
    assert "r-1" not in html
    assert "r-1" in page("problem.html", problem=Unavailable())


def test_the_title_says_first_that_something_is_to_correct() -> None:
    title = "<title>{}Connexion de l’équipe"
    assert title.format("Erreur\u00a0: ") in page("sign_in.html", **PAGES["sign_in.html"])
    assert title.format("") in page("sign_in.html", errors={}, suite="", by_link=True)


def test_staff_have_their_menu() -> None:
    html = page("privacy.html", staff=SimpleNamespace(name="Équipe"))
    for address in ("/coordination", "/guichet", "/boite-envoi"):
        assert f'href="{address}"' in html
    assert 'action="/deconnexion"' in html
    assert "/guichet" not in page("privacy.html")


def test_the_error_summary_takes_focus_and_leads_to_the_field() -> None:
    html = part("{{ forms.error_summary({'email': 'Écrivez votre courriel.'}) }}")
    assert 'tabindex="-1" autofocus' in html
    assert '<a href="#email">Écrivez votre courriel.</a>' in html
    assert "une chose" in html
    assert part("{{ forms.error_summary({}) }}").strip() == ""


def test_a_field_keeps_what_was_typed_and_says_what_is_wrong() -> None:
    html = part(
        '{{ forms.text_field("name", "Nom", typed, help="Aide", error="Écrivez-le.", optional=true) }}',
        typed='"><script>alert(1)</script>',
    )
    assert "<script>" not in html
    assert 'value="&#34;&gt;&lt;script&gt;' in html
    assert 'aria-describedby="name-aide name-erreur" aria-invalid="true"' in html
    assert "(facultatif)" in html
    assert html.index("Écrivez-le.") < html.index("<input")


def test_a_password_is_never_sent_back() -> None:
    assert "secret" not in part('{{ forms.text_field("token", "Jeton", "secret", type="password") }}')


def test_a_choice_shows_its_own_question() -> None:
    html = part(
        """{% set by_email %}{{ forms.text_field("email", "Courriel") }}{% endset %}
        {{ forms.radios("route", "Comment vous joindre ?", [
             {"value": "email", "label": "Par courriel", "content": by_email},
             ("phone", "Par téléphone")], "phone") }}"""
    )
    assert '<div class="choice-content"><div class="field">' in html
    assert 'id="route" name="route" value="email">' in html
    assert 'id="route-phone" name="route" value="phone" checked>' in html


def test_a_choice_among_several_keeps_all_of_them() -> None:
    html = part('{{ forms.checkboxes("needs", "Besoins", [(1, "Un"), (2, "Deux"), (3, "Trois")], [1, 3]) }}')
    assert re.findall(r'value="(\d)" checked', html) == ["1", "3"]


@pytest.mark.parametrize(
    ("available", "status", "french", "english"),
    [
        (4, "published", "4 places libres", "4 free seats"),
        (1, "published", "1 place libre", "1 free seat"),
        (0, "published", "Complet", "Full"),
        (3, "cancelled", "Annulé", "Cancelled"),
        (3, "held", "Terminé", "Over"),
    ],
)
def test_a_word_says_what_the_colour_says(available: int, status: str, french: str, english: str) -> None:
    for language, text in (("fr", french), ("en", english)):
        badge = part("{{ sessions.seat_badge({'available': a}, s) }}", language, a=available, s=status)
        assert f">{text}</strong>" in badge
