"""Places are remembered between questions, and never longer than they are true."""

import pytest
import sqlalchemy as sa

from libs.database import Database
from services.events.nearby import Nearby, NotFound
from services.events.places import Places
from tests.events.public_calendar import save, venue

CHANGES = {
    "renamed": ("update venue set municipality = 'Xylobourg'", "Xylobourg", "Zébuville"),
    "added": (
        "insert into venue select (jsonb_populate_record(v, jsonb_build_object("
        "'id', gen_random_uuid(), 'municipality', 'Xylobourg', 'name', 'Autre'))).* from venue v",
        "Xylobourg",
        None,
    ),
    "gone": ("delete from venue", None, "Zébuville"),
}


@pytest.mark.parametrize(("change", "found", "lost"), CHANGES.values(), ids=CHANGES)
async def test_a_change_of_venues_is_known_at_the_next_question(
    database: Database, change: str, found: str | None, lost: str | None
) -> None:
    places = Places()
    await save(database, venue(municipality="Zébuville"))
    async with database.reading() as db:
        assert isinstance(await places.find(db, "zebuville"), Nearby)
        assert isinstance(await places.find(db, "Xylobourg"), NotFound)
    async with database.transaction() as db:
        await db.execute(sa.text(change))
    async with database.reading() as db:
        if found:
            assert isinstance(await places.find(db, found), Nearby)
        if lost:
            assert isinstance(await places.find(db, lost), NotFound)


async def test_places_are_read_once(database: Database) -> None:
    places, read = Places(), list[str]()
    await save(database, venue(municipality="Zébuville"))
    sa.event.listen(
        database.engine.sync_engine, "before_cursor_execute", lambda _c, _u, text, *_more: read.append(text)
    )
    for _time in range(3):
        async with database.reading() as db:
            await places.find(db, "Zébuville")
    assert sum("municipality" in statement for statement in read) == 1
