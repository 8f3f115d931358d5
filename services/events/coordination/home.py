"""« Ma région »: what needs a coordinator first, then the week day by day."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs import vocabularies
from libs.web.app import Reading
from libs.web.auth import Staff
from libs.web.i18n import LazyString
from services.events.coordination import queries
from services.events.coordination.attention import attention
from services.events.coordination.desk import Desk, choice_asked, day_asked, desk_of, same_with
from services.events.coordination.rows import SessionRow, totals_of
from services.events.coordination.session_list import region_options
from services.events.coordination.words import clash_sentence
from services.events.planning import Clash

router = APIRouter(include_in_schema=False)

WATCHED = timedelta(days=60)
"""How far ahead the page looks for what needs somebody."""


@router.get("/coordination")
async def home(request: Request, db: Reading, staff: Staff) -> Response:
    """`?region=` narrows it to one region, `?week=` shows the week of that day."""
    desk = await desk_of(request, db)
    region = choice_asked(request, "region", {item.code for item in vocabularies.regions()})
    asked = day_asked(request, "week")
    now = _monday(desk.today + timedelta(days=2))  # on a weekend the week that matters is the next one
    monday = _monday(asked) if asked is not None and 2000 <= asked.year <= 2100 else now
    ids = await queries.coming(db, desk.now, region, until=desk.now + WATCHED)
    ahead = await queries.rows_of(db, ids, desk.home_zone, desk.language)
    week = await queries.rows_of(db, await queries.of_week(db, monday, region), desk.home_zone, desk.language)
    return desk.page(
        "home.html",
        region=region,
        regions=await region_options(desk, db, region),
        attention=attention(ahead, desk.now),
        past_drafts=await queries.past_drafts(db, desk.now, region),
        clashes=await clash_sentences(desk, db, await queries.clashes_ahead(db, desk.now), region),
        monday=monday,
        sunday=monday + timedelta(days=6),
        days=_days(monday, week),
        totals=totals_of(week),
        is_this_week=monday == now,
        is_next_week=now > desk.today,
        previous_week=same_with(request, week=monday - timedelta(weeks=1)),
        next_week=same_with(request, week=monday + timedelta(weeks=1)),
        this_week=same_with(request, week=None),
    )


@dataclass(frozen=True, slots=True)
class Said:
    """A clash in words, with the sessions that it is between."""

    sentence: LazyString
    first: SessionRow
    second: SessionRow


async def clash_sentences(desk: Desk, db: Reading, found: list[Clash], region: str = "") -> list[Said]:
    """The clashes in words; with a region only those that touch it."""
    ids = list({booking.session_id for clash in found for booking in (clash.first, clash.second)})
    rows = {row.id: row for row in await queries.rows_of(db, ids, desk.home_zone, desk.language)}
    names = await queries.trainer_names(db, {clash.trainer_id for clash in found})
    here = set(await queries.in_region(db, ids, region)) if region else set(ids)
    return [
        Said(
            clash_sentence(clash, names[clash.trainer_id], rows, desk.language),
            rows[clash.first.session_id],
            rows[clash.second.session_id],
        )
        for clash in found
        if here & {clash.first.session_id, clash.second.session_id}
    ]


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the week with its sessions in their order."""

    date: date
    rows: tuple[SessionRow, ...]


def _days(monday: date, rows: list[SessionRow]) -> list[Day]:
    """The seven days; a weekend without sessions is left out."""
    by_day: dict[date, list[SessionRow]] = defaultdict(list)
    for row in rows:
        by_day[row.starts_at.date()].append(row)
    week = [monday + timedelta(days=number) for number in range(7)]
    return [Day(day, tuple(by_day[day])) for day in week if by_day[day] or day.weekday() < 5]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
