"""Texts are French until their reader is known, and then theirs."""

from datetime import date
from pathlib import Path

import pytest
from starlette.requests import Request

from libs.web import catalogues, i18n
from libs.web.catalogues import check, main, update
from libs.web.i18n import _, language_of, ngettext, translate, translations
from libs.web.templating import environment

PAGE = """
{% import "macro.html" as m %}
{% trans name=person %}Bonjour {{ name }}{% endtrans +%}
{{ _("Choisir %(what)s", what=lazy) }}|{{ lazy }}|{{ _(lazy) }}|{{ m.word() }}
{{ ngettext("%(count)s place", "%(count)s places", seats) }}
{% trans count=seats %}une place{% pluralize %}{{ count }} places{% endtrans +%}
{{ day|long_date }}
"""
CODE = """
from libs.web.i18n import _, ngettext

WORD = _("Le calendrier")
COUNTED = ngettext("%(count)s jour", "%(count)s jours", 2)
"""


def request(query: str = "", cookie: str = "", accept: str = "", path: str = "/") -> Request:
    headers = [(b"cookie", cookie.encode()), (b"accept-language", accept.encode())]
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
    }
    return Request(scope | {"server": ("testserver", 80), "scheme": "http"})


def test_a_text_is_french_until_it_is_translated() -> None:
    text = _("Donnez un nombre d’au moins %(limit)s.", limit=3)
    assert str(text) == "Donnez un nombre d’au moins 3."
    assert translate(text, "en") == "Give a number of at least 3."
    assert translate(text, "de") == "Donnez un nombre d’au moins 3."
    assert translate("déjà dit", "en") == "déjà dit"


def test_parameters_may_be_texts_themselves() -> None:
    text = _("Donnez un nombre d’au moins %(limit)s.", limit=_("Donnez un texte."))
    assert translate(text, "en") == "Give a number of at least Give a text.."


@pytest.mark.parametrize(
    ("count", "french", "english"),
    [
        (0, "Donnez au plus 0 élément.", "Give at most 0 items."),
        (1, "Donnez au plus 1 élément.", "Give at most 1 item."),
        (2, "Donnez au plus 2 éléments.", "Give at most 2 items."),
    ],
)
def test_zero_is_singular_in_french_and_plural_in_english(count: int, french: str, english: str) -> None:
    text = ngettext("Donnez au plus %(count)s élément.", "Donnez au plus %(count)s éléments.", count)
    assert (translate(text, "fr"), translate(text, "en")) == (french, english)


def test_the_language_is_the_asked_one_then_the_kept_one_then_french() -> None:
    assert language_of(request("lang=en", "langue=fr")) == "en"
    assert language_of(request("lang=xx", "langue=en")) == "en"
    assert language_of(request("", "langue=xx", accept="en")) == "fr"
    assert language_of(request(accept="en", path="/api/events/v1/sessions")) == "en"
    assert language_of(request("lang=fr", accept="en", path="/api/events/v1/sessions")) == "fr"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with texts of its own, beside the real shell."""
    folder = tmp_path / "services" / "events"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "words.py").write_text(CODE)
    (folder / "templates" / "page.html").write_text(PAGE)
    (folder / "templates" / "macro.html").write_text(
        "{% macro word() %}{{ _('Aller au calendrier') }}{% endmacro %}"
    )
    (tmp_path / "libs").symlink_to(i18n.ROOT / "libs")
    for module in (i18n, catalogues):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    translations.cache_clear()
    environment.cache_clear()
    yield folder
    translations.cache_clear()
    environment.cache_clear()


def translated() -> None:
    """Fill the catalogue of the package with ENGLISH, where two forms are separated by `|`."""
    update("services.events", "en")
    catalogue = catalogues.catalogue("services.events", "en")
    for message in catalogue:
        if message.id:
            english = ENGLISH[catalogues.source_of(message)]
            message.string = tuple(english.split("|")) if message.pluralizable else english
    catalogues.write(catalogue, "services.events", "en")


ENGLISH = {
    "Bonjour %(name)s": "Hello %(name)s",
    "Choisir %(what)s": "Choose %(what)s",
    "%(count)s place": "%(count)s seat|%(count)s seats",
    "une place": "one seat|%(count)s seats",
    "Le calendrier": "The calendar",
    "%(count)s jour": "%(count)s day|%(count)s days",
}


def test_a_page_speaks_the_language_of_its_reader_down_to_its_macros(package: Path) -> None:
    translated()
    context = {"person": "<b>Zoé", "lazy": _("Le calendrier"), "seats": 0, "day": date(2026, 12, 8)}
    shown = {
        language: environment("services.events", language)
        .get_template("page.html")
        .render(context)
        .split("\n")
        for language in ("fr", "en")
    }
    assert [line for line in shown["fr"] if line] == [
        "Bonjour &lt;b&gt;Zoé",
        "Choisir Le calendrier|Le calendrier|Le calendrier|Aller au calendrier",
        "0 place",
        "une place",
        "mardi 8 décembre 2026",
    ]
    assert [line for line in shown["en"] if line] == [
        "Hello &lt;b&gt;Zoé",
        "Choose The calendar|The calendar|The calendar|Go to the calendar",
        "0 seats",
        "0 seats",
        "Tuesday, December 8, 2026",
    ]


def test_a_service_may_say_a_shared_text_its_own_way(package: Path) -> None:
    translated()
    assert translate(_("Aller au calendrier"), "en", "services.events") == "Go to the calendar"
    po = package / "locale" / "en.po"
    assert "Aller au calendrier" not in po.read_text()
    po.write_text(po.read_text() + '\nmsgid "Aller au calendrier"\nmsgstr "See all dates"\n')
    translations.cache_clear()
    assert check("services.events", "en") == []
    assert translate(_("Aller au calendrier"), "en", "services.events") == "See all dates"
    assert translate(_("Aller au calendrier"), "en", "libs.web") == "Go to the calendar"
    assert translate(_("Le calendrier"), "en") == "The calendar"


def test_the_check_finds_what_is_missing_unused_unsure_or_wrong(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {finding.what for finding in check("services.events", "en")} == {"missing"}
    translated()
    assert check("services.events", "en") == []
    po = package / "locale" / "en.po"
    good = po.read_text()
    for change, what in (
        (('msgstr "The calendar"', 'msgstr ""'), "missing"),
        (("Hello %(name)s", "Hello %(nom)s"), "other placeholders"),
        (('msgid "Le calendrier"', '#, fuzzy\nmsgid "Le calendrier"'), "fuzzy"),
    ):
        po.write_text(good.replace(*change))
        assert [finding.what for finding in check("services.events", "en")] == [what]
    po.write_text(good + '\nmsgid "Rien"\nmsgstr "Nothing"\n')
    assert main(["check", "services.events"]) == 1
    assert "obsolete: 'Rien'" in capsys.readouterr().out
    assert main(["update", "services.events"]) == 0
    assert po.read_text() == good
    assert main(["what"]) == 2
