"""Stops of a tour: find a venue and add it, change it, reorder, fill it with sessions."""

from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import _
from libs.web.problems import Malformed, Problem
from services.events import queries as lists
from services.events import touring
from services.events.commands import required
from services.events.coordination import queries, session_form
from services.events.coordination.desk import Desk, desk_of, id_of, once, tried, words_asked
from services.events.coordination.forms import version_of
from services.events.coordination.rows import venue_name
from services.events.coordination.session_form import whole
from services.events.coordination.words import done
from services.events.models import Activity, Stop, Tour, Venue
from services.events.problems import InUse, Stale

router = APIRouter(prefix="/coordination", include_in_schema=False)
LINES = 4
"""Sessions that can be added to a stop with one form."""
HELD = ("phone", "desk", "partner")


# --- A new stop: search, choose, say when -----------------------------------------------------------------


@router.get("/tournees/{tour_id}/etapes/nouvelle")
async def new(request: Request, db: Reading, staff: Staff, tour_id: UUID) -> Response:
    """`?q=` finds venues; one of them is chosen in the form below."""
    desk = await desk_of(request, db)
    values = {name: request.query_params.get(name, "").replace("\0", "")[:100] for name in ("first_date",)}
    return await _new_page(desk, db, tour_id, words_asked(request, "q"), values, FormErrors())


@router.post("/tournees/{tour_id}/etapes/nouvelle")
async def add(request: Request, db: Transaction, staff: Staff, tour_id: UUID) -> Response:
    desk, form = await desk_of(request, db), await read_form(request)
    key = once(request, staff, await request.body())
    if await key.known(db) is not None:
        return done(f"/coordination/tournees/{tour_id}", "stop-added")
    fields = _stop_fields(form)

    async def work() -> Stop:
        return await touring.add_stop(db, tour_id, fields)

    stop, problem = await tried(db, work)
    if stop is None:
        assert problem is not None
        errors = _errors(problem)
        return await _new_page(desk, db, tour_id, form.get("q", "")[:100], form, errors, problem.status)
    await key.keep(db, {"id": str(stop.id)})
    return done(f"/coordination/tournees/{tour_id}", "stop-added")


def _stop_fields(form: Form) -> dict[str, Any]:
    return {
        "venue_id": form.get("venue_id") or None,
        "first_date": form.get("first_date") or None,
        "last_date": form.get("last_date") or None,
        "position": whole(form.get("position", ""), None),
        "note": form.get("note", ""),
    }


async def _new_page(
    desk: Desk,
    db: AsyncSession,
    tour_id: UUID,
    q: str,
    values: Any,
    errors: FormErrors,
    status: int = 200,
) -> Response:
    tour = await required(db, Tour, tour_id)
    pairs = await queries.stops_with_venues(db, tour_id)
    return desk.page(
        "stop_new.html",
        status,
        tour=tour,
        q=q,
        values=values,
        venues=await _venue_options(db, q, values.get("venue_id", "")),
        count=len(pairs),
        last=pairs[-1] if pairs else None,
        errors=errors,
    )


async def _venue_options(db: AsyncSession, q: str, chosen: str) -> list[dict[str, Any]]:
    """Venues as radios: name and town, then the address, and what is known of access and telephone."""
    current = await _venue(db, chosen)
    found = ([current] if current is not None else []) + (await queries.venues_found(db, q) if q else [])
    return [
        {
            "value": str(venue.id),
            "label": venue_name(venue),
            "help": ", ".join(part for part in (venue.street, venue.postal_code, venue.phone) if part),
        }
        for venue in {venue.id: venue for venue in found}.values()
    ]


async def _venue(db: AsyncSession, text: str) -> Venue | None:
    venue_id = id_of(text)
    return await db.get(Venue, venue_id) if venue_id is not None else None


# --- A stop that is there ---------------------------------------------------------------------------------


@router.get("/etapes/{stop_id}/modifier")
async def edit(request: Request, db: Reading, staff: Staff, stop_id: UUID) -> Response:
    desk = await desk_of(request, db)
    stop = await required(db, Stop, stop_id)
    return await _edit_page(desk, db, stop, _values_of(stop), words_asked(request, "q"), FormErrors())


@router.post("/etapes/{stop_id}/modifier")
async def save(request: Request, db: Transaction, staff: Staff, stop_id: UUID) -> Response:
    """Change the days, the note, or the venue while nothing happens there yet."""
    desk, form = await desk_of(request, db), await read_form(request)
    stop = await required(db, Stop, stop_id)
    values = _values_of(stop) | dict(form)
    q = form.get("q", "")[:100]
    if form.get("action") == "venue" or (form.get("action") == "enter" and q != form.get("q_done", "")):
        return await _edit_page(desk, db, stop, values, q, FormErrors(), version=version_of(form))
    fields = {name: value for name, value in _stop_fields(form).items() if name != "position"}

    async def work() -> Stop:
        return await touring.patch_stop(db, stop_id, fields, expected=version_of(form))

    saved, problem = await tried(db, work)
    if saved is not None:
        return done(f"/coordination/tournees/{saved.tour_id}", "saved")
    assert problem is not None
    stop = await db.get_one(Stop, stop_id, populate_existing=True)
    theirs = _values_of(stop) if isinstance(problem, Stale) else None
    return await _edit_page(desk, db, stop, values, q, _errors(problem), problem.status, theirs=theirs)


def _values_of(stop: Stop) -> dict[str, str]:
    return {
        "venue_id": str(stop.venue_id),
        "first_date": stop.first_date.isoformat(),
        "last_date": stop.last_date.isoformat() if stop.last_date != stop.first_date else "",
        "note": stop.note,
    }


async def _edit_page(
    desk: Desk,
    db: AsyncSession,
    stop: Stop,
    values: Any,
    q: str,
    errors: FormErrors,
    status: int = 200,
    *,
    theirs: dict[str, str] | None = None,
    version: int | None = None,
) -> Response:
    """`theirs` is what somebody else saved meanwhile: sending the form again means having read it."""
    tour = await required(db, Tour, stop.tour_id)
    their_venue = await _venue(db, theirs["venue_id"]) if theirs is not None else None
    return desk.page(
        "stop_edit.html",
        status,
        tour=tour,
        stop=stop,
        version=stop.version if version is None else version,
        values=values,
        q=q,
        venues=await _venue_options(db, q, values.get("venue_id", "")),
        theirs=theirs,
        their_venue=venue_name(their_venue) if their_venue is not None else "",
        their_days=(stop.first_date, stop.last_date),
        errors=errors,
    )


@router.post("/etapes/{stop_id}/place")
async def reorder(request: Request, db: Transaction, staff: Staff, stop_id: UUID) -> Response:
    """One place earlier or later (`move`), or to the place of `position`."""
    form = await read_form(request)
    stop = await required(db, Stop, stop_id)
    step = {"earlier": -1, "later": 1}.get(form.get("move", ""))
    wanted = whole(form.get("position", ""), None)
    if step is not None:
        wanted = max(stop.position + step, 1)
    back = f"/coordination/tournees/{stop.tour_id}"
    if not isinstance(wanted, int):
        return done(back, "unchanged")
    await touring.patch_stop(db, stop_id, {"position": wanted})
    return done(back, "stop-moved")


@router.post("/tournees/{tour_id}/etapes/ordre")
async def sort_by_day(request: Request, db: Transaction, staff: Staff, tour_id: UUID) -> Response:
    """Put the stops in the order of their days."""
    await required(db, Tour, tour_id)
    stops = await touring.stops_of(db, tour_id)
    ordered = sorted(stops, key=lambda stop: (stop.first_date, stop.last_date, stop.position))
    for position, stop in enumerate(ordered, start=1):
        await touring.patch_stop(db, stop.id, {"position": position})
    return done(f"/coordination/tournees/{tour_id}", "stop-moved")


@router.get("/etapes/{stop_id}/retirer")
async def ask_to_remove(request: Request, db: Reading, staff: Staff, stop_id: UUID) -> Response:
    desk = await desk_of(request, db)
    return await _remove_page(desk, db, stop_id, FormErrors())


@router.post("/etapes/{stop_id}/retirer")
async def remove(request: Request, db: Transaction, staff: Staff, stop_id: UUID) -> Response:
    desk, form = await desk_of(request, db), await read_form(request)
    stop = await required(db, Stop, stop_id)
    tour_id = stop.tour_id

    async def work() -> bool:
        await touring.remove_stop(db, stop_id, expected=version_of(form))
        return True

    removed, problem = await tried(db, work)
    if removed:
        return done(f"/coordination/tournees/{tour_id}", "stop-removed")
    assert problem is not None
    return await _remove_page(desk, db, stop_id, _errors(problem), problem.status)


async def _remove_page(
    desk: Desk, db: AsyncSession, stop_id: UUID, errors: FormErrors, status: int = 200
) -> Response:
    stop = await db.get(Stop, stop_id, populate_existing=True) or await required(db, Stop, stop_id)
    rows = await queries.rows_of(
        db, await queries.tour_session_ids(db, stop.tour_id), desk.home_zone, desk.language
    )
    own = [row for row in rows if row.stop_id == stop.id]
    venue = await required(db, Venue, stop.venue_id)
    return desk.page(
        "stop_remove.html",
        status,
        tour=await required(db, Tour, stop.tour_id),
        stop=stop,
        stop_name=venue_name(venue),
        drafts=[row for row in own if row.status == "draft"],
        public=[row for row in own if row.status != "draft"],
        errors=errors,
    )


# --- Sessions from templates ------------------------------------------------------------------------------


@router.get("/etapes/{stop_id}/seances")
async def choose_sessions(request: Request, db: Reading, staff: Staff, stop_id: UUID) -> Response:
    desk = await desk_of(request, db)
    stop = await required(db, Stop, stop_id)
    return await _sessions_page(desk, db, stop, Form(), FormErrors())


@router.post("/etapes/{stop_id}/seances")
async def add_sessions(request: Request, db: Transaction, staff: Staff, stop_id: UUID) -> Response:
    """A draft for each line that names an activity: all of them or none."""
    desk, form = await desk_of(request, db), await read_form(request)
    stop = await required(db, Stop, stop_id)
    lines = [number for number in range(LINES) if form.get(f"{number}/activity_id")]
    errors = FormErrors()
    if not lines:
        errors.add("0/activity_id", _("Choisissez au moins une activité."))
        return await _sessions_page(desk, db, stop, form, errors, 422)
    venue = await required(db, Venue, stop.venue_id)
    fields = {
        number: await _line(db, form, number, venue.timezone, stop.first_date, errors) for number in lines
    }
    if errors:
        return await _sessions_page(desk, db, stop, form, errors, 422)
    key = once(request, staff, await request.body())
    if await key.known(db) is not None:
        return done(f"/coordination/tournees/{stop.tour_id}", "sessions-added", len(lines))
    at = lines[0]

    async def work() -> int:
        nonlocal at
        for number in lines:
            at = number
            await touring.add_session_to_stop(db, stop_id, fields[number])
        return len(lines)

    added, problem = await tried(db, work)
    if added is None:
        assert problem is not None
        stop = await db.get_one(Stop, stop_id, populate_existing=True)
        return await _sessions_page(desk, db, stop, form, _line_errors(problem, at), problem.status)
    await key.keep(db, {"count": added})
    return done(f"/coordination/tournees/{stop.tour_id}", "sessions-added", added)


async def _line(
    db: AsyncSession, form: Form, number: int, zone: str, day: date, errors: FormErrors
) -> dict[str, Any]:
    """One line as `FromTemplateInput` takes it; the hour is placed by the rules of the session's own form."""
    own = FormErrors()
    start = form.get(f"{number}/start", "")
    values = {
        "date": form.get(f"{number}/date") or day.isoformat(),
        "start": start,
        "start/offset": form.get(f"{number}/start/offset", ""),
        "end": start,
        "end/offset": form.get(f"{number}/start/offset", ""),
    }
    starts_at, _ends_at = session_form.schedule(values, zone, own)
    for name, message in own.items():
        if not name.startswith("end"):
            errors.add(f"{number}/{name}", message)
    held = {
        channel: whole(form.get(f"{number}/held/{channel}", ""), 0)
        for channel in HELD
        if form.get(f"{number}/held/{channel}")
    }
    return {
        "activity_id": form.get(f"{number}/activity_id"),
        "starts_at": starts_at,
        "capacity": whole(form.get(f"{number}/capacity", ""), None),
        "duration_minutes": whole(form.get(f"{number}/duration_minutes", ""), None),
        "held_seats": held,
        "trainer_ids": [text for text in form.all(f"{number}/trainer") if text],
    }


_LINE_NAMES = {
    "starts_at": "start",
    "ends_at": "duration_minutes",
    "held_seats": "held/phone",
    "capacity": "capacity",
    "duration_minutes": "duration_minutes",
    "activity_id": "activity_id",
    "trainer_ids": "trainer",
}


def _line_errors(problem: Problem, number: int) -> FormErrors:
    errors = FormErrors()
    if not isinstance(problem, Malformed):
        errors.add("", problem.detail or problem.title)
        return errors
    for item in problem.errors:
        head, _slash, rest = item.field.partition("/")
        channel = rest.rpartition("/")[2]
        name = f"held/{channel}" if head == "held_seats" and channel in HELD else _LINE_NAMES.get(head)
        errors.add(f"{number}/{name}" if name else "", item.message)
    return errors


async def _sessions_page(
    desk: Desk, db: AsyncSession, stop: Stop, form: Form, errors: FormErrors, status: int = 200
) -> Response:
    venue = await required(db, Venue, stop.venue_id)
    activities = (await lists.things_page(db, Activity, limit=queries.MANY)).items
    rows = await queries.rows_of(
        db, await queries.tour_session_ids(db, stop.tour_id), desk.home_zone, desk.language
    )
    return desk.page(
        "stop_sessions.html",
        status,
        tour=await required(db, Tour, stop.tour_id),
        stop=stop,
        stop_name=venue_name(venue),
        several_days=stop.last_date != stop.first_date,
        form=form,
        lines=LINES,
        held=HELD,
        channel_names=session_form.CHANNEL_NAMES,
        both_hours=_both_hours(form, stop, venue.timezone, desk.language),
        activities=[
            ("", _("Aucune")),
            *(
                (
                    str(item.id),
                    _(
                        "%(title)s (%(minutes)s minutes, %(seats)s places)",
                        title=item.title,
                        minutes=item.duration_minutes,
                        seats=item.capacity,
                    ),
                )
                for item in activities
            ),
        ],
        trainers=[
            ("", _("Personne encore")),
            *((str(trainer.id), trainer.name) for trainer in await queries.all_trainers(db)),
        ],
        rows=[row for row in rows if row.stop_id == stop.id],
        errors=errors,
    )


def _both_hours(form: Form, stop: Stop, zone: str, language: str) -> dict[int, list[Any]]:
    """Per line whose hour comes twice that day: both readings."""
    found = {}
    for number in range(LINES):
        values = {
            "date": form.get(f"{number}/date") or stop.first_date.isoformat(),
            "start": form.get(f"{number}/start", ""),
        }
        both = session_form.both_hours(values, "start", zone, language)
        if both:
            found[number] = both
    return found


def _errors(problem: Problem) -> FormErrors:
    errors = FormErrors()
    if isinstance(problem, Stale):
        errors.add("", _("Quelqu’un a changé cette étape entre-temps. Comparez, puis enregistrez."))
    elif isinstance(problem, InUse):
        errors.add("", problem.detail or problem.title)
    elif isinstance(problem, Malformed):
        for item in problem.errors:
            errors.add(item.field or "first_date", item.message)
    else:
        errors.add("", problem.detail or problem.title)
    return errors
