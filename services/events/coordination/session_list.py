"""Sessions in a table by the filters of the address, and the storm: several cancelled with one reason."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from libs import vocabularies
from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import FormErrors, read_form
from libs.web.i18n import LazyString, _
from libs.web.problems import Malformed
from services.events import commands
from services.events.coordination import queries, reaching
from services.events.coordination.desk import (
    Desk,
    choice_asked,
    day_asked,
    desk_of,
    id_asked,
    id_of,
    page_asked,
    same_with,
    tried,
    words_asked,
)
from services.events.coordination.queries import MANY, SORTS, SessionFilters
from services.events.coordination.rows import SessionRow
from services.events.coordination.words import STATUSES, done
from services.events.models import Session, Tour, Trainer

router = APIRouter(prefix="/coordination/seances", include_in_schema=False)
SESSION_STATUSES = ("draft", "published", "held", "cancelled")

Option = tuple[str, LazyString | str]


@router.get("")
async def table(request: Request, db: Reading, staff: Staff) -> Response:
    """From today on, unless other days are asked for; an empty `from` means from the beginning."""
    desk = await desk_of(request, db)
    filters = await _filters(request, desk)
    page = await queries.session_page(db, filters, desk.home_zone, desk.language)
    return desk.page(
        "sessions.html",
        rows=page.rows,
        totals=page.totals,
        filters=filters,
        options=await _options(desk, db, filters),
        next_url=same_with(request, page=filters.page + 1) if page.has_more else "",
        previous_url=same_with(request, page=filters.page - 1) if filters.page > 1 else "",
        storm_url="/coordination/seances/annuler" + same_with(request, page=None, sort=None, status=None),
        chosen_tour=await db.get(Tour, filters.tour) if filters.tour else None,
    )


async def _filters(request: Request, desk: Desk) -> SessionFilters:
    first = day_asked(request, "from") if "from" in request.query_params else desk.today
    trainer = request.query_params.get("trainer", "")
    known = trainer == "none" or id_of(trainer) is not None
    return SessionFilters(
        status=choice_asked(request, "status", SESSION_STATUSES),
        region=choice_asked(request, "region", {region.code for region in vocabularies.regions()}),
        first=first,
        last=day_asked(request, "to"),
        q=words_asked(request, "q"),
        tour=id_asked(request, "tour"),
        trainer=trainer if known else "",
        sort=choice_asked(request, "sort", SORTS) or "date",
        page=page_asked(request),
    )


async def _options(desk: Desk, db: AsyncSession, filters: SessionFilters) -> dict[str, list[Option]]:
    trainers = await queries.all_trainers(db)
    if id_of(filters.trainer) is not None and filters.trainer not in {str(t.id) for t in trainers}:
        chosen = await db.get(Trainer, UUID(filters.trainer))
        trainers += [chosen] if chosen is not None else []
    return {
        "status": [("", _("Tous les états")), *((name, STATUSES[name]) for name in SESSION_STATUSES)],
        "region": await region_options(desk, db, filters.region),
        "trainer": [
            ("", _("Peu importe")),
            ("none", _("Personne encore")),
            *((str(trainer.id), trainer.name) for trainer in trainers),
        ],
    }


async def region_options(desk: Desk, db: AsyncSession, chosen: str) -> list[Option]:
    """The regions that have something, and the chosen one."""
    codes = await queries.regions_in_use(db)
    codes += [chosen] if chosen and chosen not in codes else []
    return [
        ("", _("Toutes les régions")),
        *((code, vocabularies.region_name(code, desk.language)) for code in codes),
    ]


# --- The storm --------------------------------------------------------------------------------------------


@router.get("/annuler")
async def choose(request: Request, db: Reading, staff: Staff) -> Response:
    """The published sessions of some days or a region, all ticked: what stays is unticked."""
    desk = await desk_of(request, db)
    first = day_asked(request, "from") or desk.today
    last = day_asked(request, "to") or (first + timedelta(days=1) if first.year < 9999 else first)
    filters = SessionFilters(
        status="published",
        region=choice_asked(request, "region", {region.code for region in vocabularies.regions()}),
        first=first,
        last=last,
        q=words_asked(request, "q"),
        tour=id_asked(request, "tour"),
        page=page_asked(request),
    )
    page = await queries.session_page(db, filters, desk.home_zone, desk.language)
    rows = [row for row in page.rows if row.ends_at_utc > desk.now]
    return desk.page(
        "storm.html",
        rows=rows,
        filters=filters,
        options={"region": await region_options(desk, db, filters.region)},
        ticked=request.query_params.get("tick") != "none",
        tick_url=same_with(request, tick=None),
        untick_url=same_with(request, tick="none"),
        next_url=same_with(request, page=filters.page + 1) if page.has_more else "",
        people=reaching.told(reaching.together(row.reach for row in rows)),
        chosen_tour=await db.get(Tour, filters.tour) if filters.tour else None,
    )


@router.get("/annuler/confirmer")
async def ask(request: Request, db: Reading, staff: Staff) -> Response:
    desk = await desk_of(request, db)
    chosen = await _chosen(desk, db, request.query_params.getlist("s"))
    return _confirm_page(desk, chosen, "", FormErrors())


@router.post("/annuler/confirmer")
async def cancel(request: Request, db: Transaction, staff: Staff) -> Response:
    """All of them or none, with one reason."""
    desk, form = await desk_of(request, db), await read_form(request)
    chosen = await _chosen(desk, db, form.all("s"))
    reason = form.get("reason", "")
    versions = dict(zip(form.all("s"), form.all("v"), strict=False))
    errors = FormErrors()
    if any(versions.get(str(row.id)) != str(row.version) for row in chosen.rows):
        errors.add("", _("Une de ces séances a changé entre-temps. Relisez la liste, puis confirmez."))
        return _confirm_page(desk, chosen, reason, errors, 412)
    if not chosen.rows:
        return _confirm_page(desk, chosen, reason, errors, 422)

    async def work() -> list[Session]:
        ids = [row.id for row in chosen.rows]
        return await commands.cancel_sessions(db, desk.instance, ids, {"reason": reason or None})

    cancelled, problem = await tried(db, work)
    if cancelled is not None:
        return done("/coordination/seances", "several", len(cancelled))
    assert problem is not None
    if isinstance(problem, Malformed):
        errors.add("reason", problem.errors[0].message)
    else:
        errors.add("", problem.detail or problem.title)
    again = await _chosen(desk, db, form.all("s"))
    return _confirm_page(desk, again, reason, errors, problem.status)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """`rows` can be cancelled; `left_out` can't any more (drafts, over, cancelled). `too_many` were named."""

    rows: list[SessionRow]
    left_out: list[SessionRow]
    too_many: bool


async def _chosen(desk: Desk, db: AsyncSession, texts: list[str]) -> _Chosen:
    ids = list(dict.fromkeys(id_ for text in texts if (id_ := id_of(text)) is not None))
    rows = await queries.rows_of(db, ids[:MANY], desk.home_zone, desk.language)
    rows.sort(key=lambda row: (row.starts_at_utc, row.id))
    live = [row for row in rows if row.status == "published"]
    return _Chosen(live, [row for row in rows if row.status != "published"], len(ids) > MANY)


def _confirm_page(
    desk: Desk, chosen: _Chosen, reason: str, errors: FormErrors, status: int = 200
) -> Response:
    reach = reaching.together(row.reach for row in chosen.rows)
    return desk.page(
        "storm_confirm.html",
        status,
        chosen=chosen,
        people=reaching.told(reach),
        count=reaching.people(reach),
        reason=reason,
        errors=errors,
        many=MANY,
    )
