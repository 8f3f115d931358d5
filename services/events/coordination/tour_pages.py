"""Tours: the list, and one tour with its stops, sessions, distances, gaps and clashes; publish and cancel."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from libs import vocabularies
from libs.web import formats
from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import LazyString, _
from libs.web.problems import Malformed, Problem
from services.events import touring
from services.events.commands import required
from services.events.coordination import queries, reaching
from services.events.coordination.desk import (
    Desk,
    choice_asked,
    desk_of,
    page_asked,
    same_with,
    tried,
    words_asked,
)
from services.events.coordination.forms import version_of
from services.events.coordination.home import clash_sentences
from services.events.coordination.rows import SessionRow, totals_of, venue_name
from services.events.coordination.session_list import region_options
from services.events.coordination.tour_editing import STREAMS
from services.events.coordination.words import STATUSES, done, gaps
from services.events.models import Session, Stop, Tour, Venue
from services.events.planning import (
    SETTING_UP,
    PlannedSession,
    PlannedStop,
    TourView,
    stop_distances,
    tour_view,
    travel_time,
)
from services.events.plans import windows_of
from services.events.problems import Stale, TourCancelled

router = APIRouter(prefix="/coordination/tournees", include_in_schema=False)
TOUR_STATUSES = ("draft", "published", "closed", "cancelled")


@router.get("")
async def table(request: Request, db: Reading, staff: Staff) -> Response:
    desk = await desk_of(request, db)
    status = choice_asked(request, "status", TOUR_STATUSES)
    region = choice_asked(request, "region", {item.code for item in vocabularies.regions()})
    q, page = words_asked(request, "q"), page_asked(request)
    rows = await queries.tour_rows(db, q=q, region=region, status=status, page=page)
    shown = rows[: queries.PAGE]
    return desk.page(
        "tours.html",
        rows=shown,
        regions={row.id: vocabularies.region_name(row.region, desk.language) for row in shown if row.region},
        filters={"q": q, "region": region, "status": status},
        options={
            "status": [("", _("Tous les états")), *((name, STATUSES[name]) for name in TOUR_STATUSES)],
            "region": await region_options(desk, db, region),
        },
        totals=(
            sum(row.stops for row in shown),
            sum(row.sessions for row in shown),
            sum(row.taken for row in shown),
            sum(row.capacity for row in shown),
        ),
        next_url=same_with(request, page=page + 1) if len(rows) > queries.PAGE else "",
        previous_url=same_with(request, page=page - 1) if page > 1 else "",
    )


# --- One tour ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StopView:
    """A stop with what happens there. `km` and `road` lead to the next one; None where nobody knows."""

    stop: Stop
    venue: Venue
    name: str
    rows: tuple[SessionRow, ...]
    is_last: bool
    km: float | None
    road: timedelta | None


@router.get("/{tour_id}")
async def show(request: Request, db: Reading, staff: Staff, tour_id: UUID) -> Response:
    desk = await desk_of(request, db)
    tour = await required(db, Tour, tour_id)
    pairs = await queries.stops_with_venues(db, tour_id)
    rows = await queries.rows_of(
        db, await queries.tour_session_ids(db, tour_id), desk.home_zone, desk.language
    )
    view = _week_view(pairs, rows)
    found = await queries.clashes_ahead(db, desk.now, [row.id for row in rows])
    copied_from = await db.get(Tour, tour.copied_from) if tour.copied_from else None
    return desk.page(
        "tour.html",
        tour=tour,
        region=vocabularies.region_name(tour.region, desk.language) if tour.region else None,
        windows=_windows(tour, desk.language),
        stops=_stops(pairs, rows),
        others=[row for row in rows if row.stop_id is None],
        totals=totals_of(rows),
        drafts=[row for row in rows if row.status == "draft"],
        live=[row for row in rows if row.status == "published"],
        clashes=await clash_sentences(desk, db, found),
        gaps=gaps(view, desk.language),
        disorder=_disorder(pairs),
        weeks=_weeks(view, pairs, rows),
        copied_from=copied_from,
    )


def _stops(pairs: Sequence[tuple[Stop, Venue]], rows: Sequence[SessionRow]) -> list[StopView]:
    distances = [*stop_distances([queries.point_of(venue) for _stop, venue in pairs]), None]
    return [
        StopView(
            stop=stop,
            venue=venue,
            name=venue_name(venue),
            rows=tuple(row for row in rows if row.stop_id == stop.id),
            is_last=number == len(pairs) - 1,
            km=km,
            road=travel_time(km) - SETTING_UP if km is not None else None,
        )
        for number, ((stop, venue), km) in enumerate(zip(pairs, distances, strict=False))
    ]


def _week_view(pairs: Sequence[tuple[Stop, Venue]], rows: Sequence[SessionRow]) -> TourView:
    return tour_view(
        [PlannedStop(stop.id, stop.first_date, stop.last_date) for stop, _venue in pairs],
        [
            PlannedSession(row.id, row.stop_id, row.starts_at.date(), row.starts_at)
            for row in rows
            if row.status != "cancelled"
        ],
    )


@dataclass(frozen=True, slots=True)
class DayView:
    """A day of a tour in a list: where it stands, what happens, or that nothing does."""

    date: date
    stops: tuple[str, ...]
    rows: tuple[SessionRow, ...]
    is_gap: bool


def _weeks(
    view: TourView, pairs: Sequence[tuple[Stop, Venue]], rows: Sequence[SessionRow]
) -> list[tuple[date, list[DayView]]]:
    """The weeks with the days that say something: a stop, a session, a gap."""
    names = {stop.id: venue_name(venue) for stop, venue in pairs}
    by_id = {row.id: row for row in rows}
    return [
        (
            week.monday,
            [
                DayView(
                    day.date,
                    tuple(names[id_] for id_ in day.stops),
                    tuple(by_id[id_] for id_ in day.sessions),
                    day.is_gap,
                )
                for day in week.days
                if day.stops or day.sessions or day.is_gap
            ],
        )
        for week in view.weeks
    ]


def _windows(tour: Tour, language: str) -> list[tuple[str, str]]:
    """(stream, its days) of each stream that has some."""
    found = windows_of(tour)
    return [
        (
            vocabularies.label("streams", stream, language),
            " – ".join(
                formats.short_date(day, language) for day in (found[stream].first, found[stream].last)
            ),
        )
        for stream in STREAMS
        if stream in found
    ]


def _disorder(pairs: Sequence[tuple[Stop, Venue]]) -> list[LazyString]:
    """Stops that begin before the one ahead of them has ended."""
    return [
        _(
            "L’étape %(second)s commence avant la fin de l’étape %(first)s.",
            first=before.position,
            second=after.position,
        )
        for (before, _a), (after, _b) in pairwise(pairs)
        if after.first_date < before.last_date
    ]


# --- Publish, cancel, delete ------------------------------------------------------------------------------


@router.get("/{tour_id}/publier")
async def ask_to_publish(request: Request, db: Reading, staff: Staff, tour_id: UUID) -> Response:
    return await _publish_page(await desk_of(request, db), db, tour_id, FormErrors())


@router.post("/{tour_id}/publier")
async def publish(request: Request, db: Transaction, staff: Staff, tour_id: UUID) -> Response:
    """The tour and all its drafts, or none of them."""
    desk, form = await desk_of(request, db), await read_form(request)

    async def work() -> list[Session]:
        return await touring.publish_tour(db, desk.instance, tour_id, expected=version_of(form))

    published, problem = await tried(db, work)
    if published is not None:
        return done(f"/coordination/tournees/{tour_id}", "tour-published", len(published))
    assert problem is not None
    return await _publish_page(desk, db, tour_id, _said(problem), problem.status)


async def _publish_page(
    desk: Desk, db: AsyncSession, tour_id: UUID, errors: FormErrors, status: int = 200
) -> Response:
    tour = await required(db, Tour, tour_id)
    _refuse_cancelled(tour)
    rows = await queries.rows_of(
        db, await queries.tour_session_ids(db, tour_id), desk.home_zone, desk.language
    )
    drafts = [row for row in rows if row.status == "draft"]
    return desk.page(
        "tour_publish.html",
        status,
        tour=tour,
        drafts=[row for row in drafts if row.ends_at_utc > desk.now],
        over=[row for row in drafts if row.ends_at_utc <= desk.now],
        without_trainer=[row for row in drafts if not row.has_trainer],
        clashes=await clash_sentences(
            desk, db, await queries.clashes_ahead(db, desk.now, [row.id for row in drafts])
        ),
        errors=errors,
    )


@router.get("/{tour_id}/annuler")
async def ask_to_cancel(request: Request, db: Reading, staff: Staff, tour_id: UUID) -> Response:
    return await _cancel_page(await desk_of(request, db), db, tour_id, Form(), FormErrors())


@router.post("/{tour_id}/annuler")
async def cancel(request: Request, db: Transaction, staff: Staff, tour_id: UUID) -> Response:
    """The tour and every published session of it."""
    desk, form = await desk_of(request, db), await read_form(request)
    given = {"reason": form.get("reason") or None}

    async def work() -> list[Session]:
        return await touring.cancel_tour(db, desk.instance, tour_id, given, expected=version_of(form))

    cancelled, problem = await tried(db, work)
    if cancelled is not None:
        return done(f"/coordination/tournees/{tour_id}", "tour-cancelled", len(cancelled))
    assert problem is not None
    return await _cancel_page(desk, db, tour_id, form, _said(problem), problem.status)


async def _cancel_page(
    desk: Desk, db: AsyncSession, tour_id: UUID, form: Form, errors: FormErrors, status: int = 200
) -> Response:
    tour = await required(db, Tour, tour_id)
    _refuse_cancelled(tour)
    rows = await queries.rows_of(
        db, await queries.tour_session_ids(db, tour_id), desk.home_zone, desk.language
    )
    live = [row for row in rows if row.status == "published"]
    reach = reaching.together(row.reach for row in live)
    return desk.page(
        "tour_cancel.html",
        status,
        tour=tour,
        live=live,
        drafts=[row for row in rows if row.status == "draft"],
        people=reaching.told(reach),
        count=reaching.people(reach),
        reason=form.get("reason", ""),
        errors=errors,
    )


@router.post("/{tour_id}/supprimer")
async def delete(request: Request, db: Transaction, staff: Staff, tour_id: UUID) -> Response:
    """A draft tour with its drafts; asked once on its page."""
    form = await read_form(request)
    await touring.delete_tour(db, tour_id, expected=version_of(form))
    return done("/coordination/tournees", "tour-deleted")


def _said(problem: Problem) -> FormErrors:
    errors = FormErrors()
    if isinstance(problem, Stale):
        errors.add("", _("Quelqu’un a changé cette tournée entre-temps. Relisez, puis confirmez."))
    elif isinstance(problem, Malformed):
        for item in problem.errors:
            errors.add("reason" if item.field == "reason" else "", item.message)
    else:
        errors.add("", problem.detail or problem.title)
    return errors


def _refuse_cancelled(tour: Tour) -> None:
    if tour.status == "cancelled":
        raise TourCancelled(next_href=f"/coordination/tournees/{tour.id}", next_label=_("Voir la tournée"))
