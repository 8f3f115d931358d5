"""The calendar: what it lists, in which words, by which filters, and what it says of bad ones."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx import AsyncClient

from libs.database import Database
from libs.web import formats
from tests.events.public_calendar import save, seats, session, venue, words

NBSP = "\u00a0"
# Quotation marks in titles come out escaped, and so does the apostrophe: titles here have none.


async def listed(public: AsyncClient, query: str = "") -> list[str]:
    """The titles on a page of the calendar, in their order."""
    page = await public.get(f"/{query}")
    assert page.status_code == 200
    parts = page.text.split('class="session-title">')[1:]
    return [words("<" + part.split("</h3>")[0].partition("<")[2]) for part in parts]


async def said(public: AsyncClient, query: str = "") -> str:
    page = await public.get(f"/{query}")
    assert page.status_code == 200
    return words(page.text)


async def test_sessions_stand_by_day_in_the_order_of_their_start(
    public: AsyncClient, database: Database
) -> None:
    library = venue()
    late = session(library, title="Tard", in_days=4)
    early = session(library, title="Tôt", in_days=2)
    await save(database, library, late, early)

    page = await public.get("/")

    assert await listed(public) == ["Tôt", "Tard"]
    first_day = formats.capital_first(formats.day(early.starts_at.date(), "fr"))
    assert first_day in words(page.text)
    assert "2 ateliers" in words(page.text)


async def test_the_state_is_said_in_words(public: AsyncClient, database: Database) -> None:
    library = venue()
    free, full, line_full = (session(library, title=f"S{n}", in_days=n) for n in (1, 2, 3))
    line_full.waitlist_limit = 4
    gone = session(library, in_days=4, title="S4", status="cancelled", cancel_reason="Tempête de neige")
    soon = session(library, in_days=5, title="S5", opens_at=datetime.now(UTC) + timedelta(days=1))
    closed = session(library, in_days=6, title="S6", closes_at=datetime.now(UTC) - timedelta(hours=1))
    drop_in = session(library, in_days=7, title="S7", kind="drop_in", registration_modes=["drop_in"])
    kept = session(library, in_days=8, title="S8")
    uncounted = session(library, in_days=9, title="S9")
    elsewhere = session(library, in_days=10, title="S10", registration_modes=["contact_venue"])
    everything = [free, full, line_full, gone, soon, closed, drop_in, kept, uncounted, elsewhere]
    counted = [
        seats(free, 4),
        seats(full, 0, 3),
        seats(line_full, 0, 4),
        seats(soon, 12),
        seats(kept, 0, held=2),
    ]
    await save(database, library, *everything, *counted)

    text = await said(public)

    assert "4 places libres" in text
    assert "Complet 3 personnes en attente. Attendre une place" in text
    assert "Complet La liste d’attente est pleine aussi." in text
    assert "Annulé Tempête de neige. Autres dates" in text
    assert "Bientôt Inscription dès le" in text
    assert "Inscriptions terminées" in text
    assert "Sans inscription" in text
    assert "2 places gardées Appelez-nous ou passez au comptoir." in text
    assert "12 places en tout" in text
    assert "Contactez le lieu" in text


async def test_the_calendar_hides_drafts_and_what_is_over(public: AsyncClient, database: Database) -> None:
    library = venue()
    draft = session(library, title="Brouillon secret", status="draft", published_at=None)
    over = session(library, title="Du passé", in_days=-3, status="held")
    await save(database, library, draft, over)

    assert await listed(public) == []

    past = (datetime.now(UTC) - timedelta(days=10)).date().isoformat()
    assert await listed(public, f"?from={past}") == ["Du passé"]


async def test_english_is_complete(public: AsyncClient, database: Database) -> None:
    library = venue()
    full = session(library)
    await save(database, library, full, seats(full, 0, 1))

    page = await public.get("/?lang=en&theme=courriel")

    text = words(page.text)
    assert page.headers["content-language"] == "en"
    assert "Full 1 person waiting. Wait for a seat" in text
    assert "1 workshop" in text
    assert "E-mail" in text
    assert '<a href="/seances/' in page.text
    assert 'lang="fr">Le courriel, pas à pas' in page.text
    assert "atelier" not in text.replace("/atelier", "")


@pytest.fixture
async def variety(database: Database) -> None:
    """One session for each filter to find."""
    here = venue()
    far = venue(
        "Bibliothèque de Gaspé", municipality="Gaspé", region="11", latitude=48.83, longitude=-64.49,
        postal_code="G4X 1A1",
    )  # fmt: skip
    courriel = session(here, title="Courriel", in_days=1)
    tablette = session(here, title="Tablette", theme="tablette", in_days=2)
    anglais = session(here, title="English", theme="internet", language="en", in_days=3)
    pro = session(here, title="Pro", theme="internet", stream="pro", in_days=4)
    en_ligne = session(None, title="En ligne", theme="internet", modality="online", region=None, in_days=5)
    gaspe = session(far, title="Gaspésie", theme="internet", in_days=40)
    plein = session(here, title="Plein", theme="internet", in_days=6)
    everything = [courriel, tablette, anglais, pro, en_ligne, gaspe, plein]
    counted = [seats(one, 0 if one is plein else 3) for one in everything]
    await save(database, here, far, *everything, *counted)


@pytest.mark.usefixtures("variety")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?theme=tablette", ["Tablette"]),
        ("?language=en", ["English"]),
        ("?stream=pro", ["Pro"]),
        ("?modality=online", ["En ligne"]),
        ("?region=11", ["Gaspésie"]),
        ("?near=Gaspe", ["En ligne", "Gaspésie"]),
        ("?near=g4x+1a1", ["En ligne", "Gaspésie"]),
        ("?q=GASPESIE", ["Gaspésie"]),
        ("?q=monique+corriveau+courriel", ["Courriel"]),
        ("?available=1&theme=internet&near=Québec", ["English", "Pro", "En ligne"]),
        ("?theme=internet&stream=public&language=fr&region=03", ["Plein"]),
        ("?q=100%25", []),
    ],
)
async def test_each_filter_finds_what_it_says(public: AsyncClient, query: str, expected: list[str]) -> None:
    assert await listed(public, query) == expected


@pytest.mark.usefixtures("variety")
async def test_days_can_be_chosen(public: AsyncClient) -> None:
    today = datetime.now(UTC).date()

    def days(first: int, last: int) -> str:
        return f"?from={today + timedelta(days=first)}&to={today + timedelta(days=last)}"

    assert await listed(public, days(30, 50)) == ["Gaspésie"]
    assert "Gaspésie" not in await listed(public, "?period=week")
    assert await listed(public, "?from=9999-12-31&to=9999-12-31") == []
    assert await listed(public, "?to=0001-01-01") == []


async def test_a_session_in_two_modes_is_found_by_both(public: AsyncClient, database: Database) -> None:
    library = venue()
    both = session(library, title="Hybride", modality="hybrid", capacity_online=8)
    kinds = {"on_site": {"available": 2}, "online": {"available": 7}}
    await save(database, library, both, seats(both, 9, by_kind=kinds))

    for modality in ("on_site", "online", "hybrid"):
        assert await listed(public, f"?modality={modality}") == ["Hybride"]
    assert "9 places libres 2 sur place, 7 en ligne." in await said(public)


@pytest.mark.usefixtures("variety")
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?theme=jardinage", "Nous ne connaissons pas ce sujet."),
        ("?region=99", "Nous ne connaissons pas cette région."),
        ("?stream=x", "Nous ne connaissons pas ce public."),
        ("?modality=x", "Nous ne connaissons pas cette façon de participer."),
        ("?language=tlh", "Nous ne connaissons pas cette langue."),
        ("?period=x", "Nous ne connaissons pas cette période."),
        ("?from=demain", "Cette date n’est pas claire."),
        ("?to=2026-02-30", "Cette date n’est pas claire."),
        ("?available=peut-être", "Pour ne voir que les ateliers avec des places, cochez la case."),
        ("?near=Xyzzyville", "Nous ne connaissons pas ce lieu."),
        ("?near=X1A+0A1", "Nous ne connaissons pas ce code postal."),
        ("?q=" + "a" * 101 + "&q=", "Ce texte est trop long"),
        ("?q=%00", "Ce texte contient un caractère qui ne peut pas être lu."),
        ("?near=%00", "Ce texte contient un caractère qui ne peut pas être lu."),
        ("?theme=courriel&theme=tablette", "Un seul choix à la fois"),
        ("?from=2027-05-02&to=2027-05-01", "La date de fin vient avant la date de début."),
        ("?cursor=nimportequoi", "La suite demandée n’existe plus."),
    ],
)
async def test_a_bad_value_is_named_and_the_rest_still_works(
    public: AsyncClient, query: str, message: str
) -> None:
    page = await public.get(f"/{query}&lang=fr")

    assert page.status_code == 200
    text = words(page.text)
    assert message in text
    assert "error-summary" in page.text
    assert text.startswith("Erreur : ") or "Erreur" in text


@pytest.mark.usefixtures("variety")
async def test_a_bad_value_leaves_the_other_filters_working(public: AsyncClient) -> None:
    assert await listed(public, "?theme=tablette&region=99&from=x") == ["Tablette"]


async def test_pages_follow_each_other_without_gap_or_double(public: AsyncClient, database: Database) -> None:
    library = venue()
    day = datetime.fromisoformat("2027-05-03T13:30")
    # Many begin at the very same minute: the id decides, so none is lost between two pages.
    many = [session(library, title=f"S{n:02}", starts_at=day + timedelta(days=n // 30)) for n in range(45)]
    await save(database, library, *many)

    seen: list[str] = []
    query = "?theme=courriel"
    while True:
        page = await public.get(f"/{query}")
        seen += await listed(public, query)
        if 'rel="next"' not in page.text:
            break
        address = page.text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
        assert parse_qs(urlsplit(address).query)["theme"] == ["courriel"]
        query = address.lstrip("/")
        assert "45 ateliers" in words(page.text)

    assert len(seen) == 45
    assert set(seen) == {one.title for one in many}


async def test_a_postal_code_suggests_a_region_and_decides_nothing(
    public: AsyncClient, database: Database
) -> None:
    library = venue()
    await save(database, library, session(library))

    text = await said(public, "?near=G1V+4M6")
    assert "Le code postal G1V semble être dans cette région : tous les ateliers, Capitale-Nationale" in text
    assert "1 atelier à moins de 25 km de G1V, ou en ligne" in text

    # This prefix lies in the Bas-Saint-Laurent and in Gaspésie.
    text = await said(public, "?near=G0J+1A0")
    assert "Le code postal G0J touche plusieurs régions." in text
    assert "Bas-Saint-Laurent" in text
    assert "Gaspésie" in text


async def test_nothing_found_leads_on(public: AsyncClient, database: Database) -> None:
    library = venue()
    await save(database, library, session(library, title="Tout près"))

    # Trois-Rivières is 110 km away.
    await save(database, venue("Bibliothèque Gatien-Lapointe", municipality="Trois-Rivières", region="04",
                               latitude=46.343, longitude=-72.543))  # fmt: skip
    text = await said(public, "?near=trois-rivieres&theme=courriel")
    page = (await public.get("/?near=trois-rivieres&theme=courriel")).text

    assert 'href="/attendre?sujet=courriel&amp;pres=trois-rivieres"' in page, "one can wait for it"
    assert "Aucun atelier ne correspond à tous ces choix." in text
    assert "Chercher sans ce choix : Près de Trois-Rivières" in text
    assert "Les ateliers les plus proches" in text
    assert "Tout près" in text
    assert "418 555-0142".replace(" ", NBSP) in (await public.get("/?near=trois-rivieres")).text


async def test_a_misspelt_town_is_guessed(public: AsyncClient, database: Database) -> None:
    await save(
        database, venue("Bibliothèque de Rimouski", municipality="Rimouski", latitude=48.4, longitude=-68.5)
    )

    assert "Vouliez-vous dire : Rimouski" in await said(public, "?near=Rimousky")


async def test_an_empty_instance_says_so(public: AsyncClient) -> None:
    assert "Aucun atelier n’est annoncé pour le moment." in await said(public)


async def test_titles_cant_carry_markup(public: AsyncClient, database: Database) -> None:
    library = venue('<img src=x onerror="alert(1)">')
    await save(
        database, library, session(library, title="</h3><script>alert(1)</script>", cancel_reason="<b>")
    )

    page = await public.get('/?q="><script>alert(2)</script>&near=<script>')

    assert "<script" not in page.text
    assert "<img" not in page.text


async def test_a_session_away_from_home_says_its_zone(public: AsyncClient, database: Database) -> None:
    here, islands = (
        venue(),
        venue("Bibliothèque Jean-Lapierre", municipality="Les Îles", timezone="America/Halifax"),
    )
    home = [session(here, title=f"Ici {n}", in_days=n) for n in (1, 2)]
    await save(database, here, islands, *home, session(islands, in_days=3, timezone="America/Halifax"))

    assert (await said(public)).count("heure de l’Atlantique") == 1


@pytest.mark.usefixtures("variety")
async def test_the_page_links_to_its_own_feed(public: AsyncClient) -> None:
    page = await public.get("/?theme=courriel&near=Québec")

    assert "/calendrier.ics?near=Qu%C3%A9bec&amp;theme=courriel" in page.text
    assert "webcal://testserver/calendrier.ics?near=Qu%C3%A9bec&amp;theme=courriel" in page.text


async def test_the_day_of_another_year_has_its_year(public: AsyncClient, database: Database) -> None:
    library = venue()
    far = datetime.now(UTC).year + 2
    await save(database, library, session(library, starts_at=datetime.fromisoformat(f"{far}-03-02T10:00")))

    assert f"mars {far}" in await said(public)


ODD = [
    "",
    "1",
    "G1V",
    "%",
    "_",
    "\\",
    "'",
    "<x>",
    "\0",
    "\u202e",
    "é" * 300,
    "0001-01-01",
    "9999-12-31",
    "-1",
    "MXx4",
]


@pytest.mark.usefixtures("variety")
@pytest.mark.parametrize(
    "name",
    [
        "near",
        "theme",
        "period",
        "available",
        "q",
        "region",
        "stream",
        "modality",
        "language",
        "from",
        "to",
        "cursor",
        "lang",
    ],
)
async def test_no_address_breaks_a_page_or_a_feed(public: AsyncClient, name: str) -> None:
    for value in ODD:
        for path in ("/", "/programme", "/calendrier.ics"):
            answer = await public.get(path, params={name: value, "theme" if name != "theme" else "q": "x"})
            assert answer.status_code == 200, (path, name, value)


@pytest.mark.usefixtures("variety")
async def test_a_feeds_address_says_its_language(public: AsyncClient) -> None:
    assert "/calendrier.ics?lang=en" in (await public.get("/?lang=en")).text
