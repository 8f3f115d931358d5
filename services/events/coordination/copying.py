"""Copying a tour some weeks later: first what the days would be, then the copy."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select
from starlette.requests import Request
from starlette.responses import Response

from libs.clock import zone
from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import FormErrors, read_form
from libs.web.i18n import LazyString
from libs.web.problems import Malformed
from services.events import touring
from services.events.commands import required
from services.events.coordination import queries
from services.events.coordination.desk import Desk, desk_of, once, tried
from services.events.coordination.rows import SessionRow, venue_name
from services.events.coordination.session_form import whole
from services.events.coordination.words import done
from services.events.models import Session, Tour
from services.events.planning import shifted_times
from services.events.schedule import BadTime, Moment, Times

router = APIRouter(prefix="/coordination/tournees/{tour_id}/copier", include_in_schema=False)
FARTHEST = 520
USUAL = 4


@dataclass(frozen=True, slots=True)
class Shifted:
    """A session and when its copy would be (wall time). `why_not` when that time can't be.

    `clock_changes`: summer time begins or ends between the two; the wall time stays.
    """

    row: SessionRow
    starts_at: datetime | None
    ends_at: datetime | None
    why_not: LazyString | None
    clock_changes: bool
    is_past: bool


@router.get("")
async def preview(request: Request, db: Reading, staff: Staff, tour_id: UUID) -> Response:
    """`?weeks=` shows the days of the copy; nothing is written."""
    text = request.query_params.get("weeks", str(USUAL))
    title = request.query_params.get("title", "").replace("\0", "")
    return await _page(await desk_of(request, db), db, tour_id, text, title, FormErrors())


@router.post("")
async def copy(request: Request, db: Transaction, staff: Staff, tour_id: UUID) -> Response:
    desk, form = await desk_of(request, db), await read_form(request)
    text, title = form.get("weeks", ""), form.get("title", "")
    key = once(request, staff, await request.body())
    known = await key.known(db)
    if known is not None:
        return done(f"/coordination/tournees/{known['id']}", "tour-copied", known["count"])

    async def work() -> Tour:
        return await touring.copy_tour(db, tour_id, {"weeks": whole(text, None), "title": title or None})

    made, problem = await tried(db, work)
    if made is None:
        assert problem is not None
        if not isinstance(problem, Malformed):
            raise problem
        errors = FormErrors()
        for item in problem.errors:
            errors.add(item.field if item.field in ("weeks", "title") else "", item.message)
        return await _page(desk, db, tour_id, text, title, errors, 422)
    count = len(await queries.tour_session_ids(db, made.id))
    await key.keep(db, {"id": str(made.id), "count": count})
    return done(f"/coordination/tournees/{made.id}", "tour-copied", count)


async def _page(
    desk: Desk,
    db: AsyncSession,
    tour_id: UUID,
    text: str,
    title: str,
    errors: FormErrors,
    status: int = 200,
) -> Response:
    tour = await required(db, Tour, tour_id)
    weeks = whole(text, None)
    known = weeks if isinstance(weeks, int) and abs(weeks) <= FARTHEST else None
    shift = timedelta(weeks=known) if known is not None else None
    stops = [
        (stop, venue_name(venue), stop.first_date + shift if shift is not None else None)
        for stop, venue in await queries.stops_with_venues(db, tour_id)
    ]
    return desk.page(
        "tour_copy.html",
        status,
        tour=tour,
        text=text,
        title=title or tour.title,
        weeks=known,
        stops=stops,
        sessions=await _shifted(desk, db, tour_id, known) if known is not None else [],
        errors=errors,
    )


async def _shifted(desk: Desk, db: AsyncSession, tour_id: UUID, weeks: int) -> list[Shifted]:
    found = await db.execute(
        select(Session).where(col(Session.tour_id) == tour_id, col(Session.status) != "cancelled")
    )
    sessions = {session.id: session for session in found.scalars()}
    ids = [id_ for id_ in await queries.tour_session_ids(db, tour_id) if id_ in sessions]
    rows = await queries.rows_of(db, ids, desk.home_zone, desk.language)
    return [_one(row, sessions[row.id], weeks, desk.now) for row in rows]


def _one(row: SessionRow, session: Session, weeks: int, now: datetime) -> Shifted:
    when = Times(
        Moment(session.starts_at, session.starts_at_utc),
        Moment(session.ends_at, session.ends_at_utc),
        session.timezone,
    )
    try:
        new = shifted_times(when, weeks)
    except BadTime as error:
        return Shifted(row, None, None, error.message, clock_changes=False, is_past=False)
    place = zone(session.timezone)
    offsets = {moment.utc.astimezone(place).utcoffset() for moment in (when.starts, new.starts)}
    return Shifted(
        row,
        new.starts.wall,
        new.ends.wall,
        None,
        clock_changes=len(offsets) > 1,
        is_past=new.ends.utc <= now,
    )
