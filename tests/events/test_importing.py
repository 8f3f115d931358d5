"""Importing the real listing: once, in one transaction, without undoing what was edited here."""

import asyncio
import csv
import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from deploy import import_events
from libs.database import Database
from libs.vocabularies import DATA
from services.events import commands, reference
from services.events.importing import Options, Report, import_listing
from services.events.listings import BadListing
from services.events.models import MESSAGING, Session
from tests.conftest import DatabaseFactory

LAVAL = DATA / "laval_library_events.csv"
HEADING = "id,title,start_utc,end_utc,locations,registration_label,audiences,cancelled,full"
OPTIONS = Options(source="laval", municipality="Laval")


@pytest.fixture
async def events(database_factory: DatabaseFactory) -> Database:
    database = await database_factory("events")
    async with database.transaction() as db:
        await reference.load(db)
    return database


async def run(events: Database, content: bytes, options: Options = OPTIONS) -> Report:
    async with events.transaction() as db:
        return await import_listing(db, "demo", content, options)


def listing(*rows: str) -> bytes:
    return "\n".join([HEADING, *rows]).encode()


def row(
    title: str = "Café et courriel",
    start: str = "2031-02-03T18:30:00Z",
    end: str = "2031-02-03T20:30:00Z",
    place: str = "Bibliothèque Laure-Conan",
    label: str = "Inscription en ligne",
    cancelled: str = "0",
) -> str:
    return f"cafe,{title},{start},{end},{place},{label},Aînés,{cancelled},0"


async def only_session(db: AsyncSession) -> Session:
    return (await db.execute(select(Session))).scalar_one()


async def announced(events: Database) -> list[str]:
    """The statuses that the outbox says, in order."""
    outbox = MESSAGING.outbox
    async with events.reading() as db:
        rows = await db.execute(sa.select(outbox).where(outbox.c.topic == "sessions").order_by(outbox.c.id))
        return [json.loads(found["value"])["status"] for found in rows.mappings()]


async def test_the_real_listing_becomes_past_sessions_and_a_second_run_changes_nothing(
    events: Database,
) -> None:
    first = await run(events, LAVAL.read_bytes())
    assert first.counts == {"created": 76, "refused": 112}
    assert first.reasons == {"several_places": 98, "series": 13, "no_place": 6}
    async with events.reading() as db:
        sessions = {s.source_id: s for s in (await db.execute(select(Session))).scalars()}
    assert len(sessions) == 76
    cancelled = sessions["biblio-ados-rencontre-kevin-raphael@2025-02-13T23:30:00Z"]
    assert (cancelled.status, cancelled.title) == ("cancelled", "Rencontre avec Kevin Raphaël")
    assert sum(session.status == "held" for session in sessions.values()) == 75
    assert {(session.theme, session.region, session.timezone) for session in sessions.values()} == {
        (None, "13", "America/Toronto")
    }
    said = await announced(events)
    assert sorted(set(said)) == ["cancelled", "held"]  # nothing that a person could be told of
    second = await run(events, LAVAL.read_bytes())
    assert second.counts == {"unchanged": 76, "refused": 112}
    async with events.reading() as db:
        again = {s.source_id: s for s in (await db.execute(select(Session))).scalars()}
    assert {key: (s.version, s.updated_at) for key, s in again.items()} == {
        key: (s.version, s.updated_at) for key, s in sessions.items()
    }
    assert await announced(events) == said


async def test_a_session_to_come_is_published_and_follows_its_source(events: Database) -> None:
    await run(events, listing(row()))
    async with events.reading() as db:
        session = await only_session(db)
    assert (session.status, session.registration_modes, session.capacity_on_site) == (
        "published",
        ["web"],
        20,
    )
    assert session.starts_at.isoformat() == "2031-02-03T13:30:00"
    report = await run(events, listing(row(title="Café et tablette", label="", end="2031-02-03T21:00:00Z")))
    assert report.counts == {"updated": 1}
    async with events.reading() as db:
        changed = await only_session(db)
    assert (changed.title, changed.registration_modes) == ("Café et tablette", ["contact_venue"])
    assert changed.ends_at.isoformat() == "2031-02-03T16:00:00"
    assert changed.version > session.version
    assert (
        await run(events, listing(row(title="Café et tablette", label="", end="2031-02-03T21:00:00Z")))
    ).counts == {"unchanged": 1}
    report = await run(events, listing(row(title="ANNULÉ - Café et tablette", label="")))
    assert report.counts == {"cancelled": 1}
    assert await announced(events) == ["published", "published", "cancelled"]
    report = await run(events, listing(row(label="")))
    assert (report.counts, report.reasons) == ({"kept": 1}, {"cancelled_here": 1})


async def test_what_somebody_edited_here_is_kept(events: Database) -> None:
    await run(events, listing(row()))
    async with events.transaction() as db:
        await commands.patch_session(db, "demo", (await only_session(db)).id, {"title": "Thé et courriel"})
    assert (await run(events, listing(row()))).counts == {"unchanged": 1}
    report = await run(events, listing(row(title="Café et nuage")))
    assert (report.counts, report.reasons) == ({"kept": 1}, {"edited_here": 1})
    async with events.reading() as db:
        assert (await only_session(db)).title == "Thé et courriel"


async def test_a_renamed_source_brings_nothing_twice(events: Database) -> None:
    await run(events, listing(row()))
    report = await run(events, listing(row(title="Café")), Options(source="laval-2031", region="13"))
    assert (report.counts, report.reasons) == ({"kept": 1}, {"other_source": 1})
    elsewhere = row(place="Bibliothèque Claire-Martin")
    report = await run(events, listing(elsewhere), Options(source="québec", region="03"))
    assert report.counts == {"created": 1}


async def test_a_session_that_the_listing_no_longer_names_is_reported_not_touched(events: Database) -> None:
    days = [row(start=f"2031-02-0{day}T18:30:00Z", end=f"2031-02-0{day}T20:30:00Z") for day in (3, 4, 5, 6)]
    await run(events, listing(*days))
    report = await run(events, listing(days[0], days[2]))
    # The sixth lies outside the days that the shorter listing covers: it may belong to another month.
    assert report.counts == {"unchanged": 2, "gone": 1}
    async with events.reading() as db:
        statuses = (await db.execute(select(col(Session.status)))).scalars().all()
    assert list(statuses) == ["published"] * 4


async def test_a_bad_row_hurts_no_other_and_a_bad_file_writes_nothing(events: Database) -> None:
    rows = [
        row(),
        row(start="demain"),
        row(title="x\u0007y", start="2031-02-04T18:30:00Z", end="2031-02-04T20:30:00Z"),
    ]
    report = await run(events, listing(*rows))
    assert report.counts == {"created": 1, "refused": 2}
    assert report.reasons == {"bad_time": 1, "malformed": 1}
    broken = listing(row(start="2031-02-05T18:30:00Z", end="2031-02-05T20:30:00Z"), '"never closed')
    with pytest.raises(BadListing):
        await run(events, broken)
    with pytest.raises(BadListing, match="Atlantide"):
        await run(events, listing(row()), Options(source="laval", municipality="Atlantide"))
    async with events.reading() as db:
        assert await only_session(db)


async def test_two_imports_at_once_make_one_session_each(events: Database) -> None:
    content = LAVAL.read_bytes()
    reports = await asyncio.gather(run(events, content), run(events, content))
    assert sorted(report.counts["created"] for report in reports) == [0, 76]


async def test_the_command_reports_in_words_and_for_machines(
    events: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = import_events.Request(LAVAL, OPTIONS, dry_run=True, report=None)
    report = await import_events.imported(options, LAVAL.read_bytes(), "demo", events.url)
    lines = list(import_events.told(report, dry_run=True))
    assert lines[0] == "Source «\u00a0laval\u00a0»\u00a0: 188 lignes lues."
    assert any("76" in line and "ajoutées" in line for line in lines)
    assert any(line.startswith("ligne 2 · Heure du conte") for line in lines)
    async with events.reading() as db:
        assert await db.scalar(sa.select(sa.func.count()).select_from(Session)) == 0
    import_events.write(report, tmp_path / "report.json")
    items = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert items["counts"] == {"refused": 112, "created": 76}
    import_events.write(report, tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(found["reason"] == "several_places" for found in rows) == 98


def test_a_cell_that_a_spreadsheet_would_run_is_written_as_text(tmp_path: Path) -> None:
    report = Report("laval", [])
    entry = import_events.Entry(import_events.Outcome.REFUSED, 2, "=HYPERLINK(1)", "+x", ("no_id",), ("-",))
    report.entries.append(entry)
    import_events.write(report, tmp_path / "report.csv")
    assert "'=HYPERLINK(1)" in (tmp_path / "report.csv").read_text(encoding="utf-8")


def test_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert import_events.main([str(LAVAL), "--municipality", "Laval"]) == 2
    assert "DATA_DIR" in capsys.readouterr().err
    assert import_events.main([str(tmp_path / "nothing.csv")]) == 1
    assert "nothing.csv ne peut pas être lu" in capsys.readouterr().err
