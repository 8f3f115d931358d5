"""A tour's own facts: its title, its region, and the days of each stream."""

from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from libs import vocabularies
from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import FormErrors
from libs.web.i18n import _
from services.events import touring
from services.events.commands import required
from services.events.coordination import thing_editing
from services.events.coordination.desk import Desk, desk_of
from services.events.coordination.forms import Field, Typed
from services.events.coordination.merging import Values
from services.events.coordination.thing_editing import Editing, Given, Options, Subject
from services.events.models import Tour

router = APIRouter(prefix="/coordination/tournees", include_in_schema=False)

STREAMS = ("public", "pro")
SPEC = {
    "title": Field(_("Titre")),
    "region": Field(_("Région")),
    "description": Field(_("Description, pour le public")),
    "coordinator_note": Field(_("Notes pour l’équipe")),
    "windows/public/first": Field(_("Grand public : premier jour")),
    "windows/public/last": Field(_("Grand public : dernier jour")),
    "windows/pro/first": Field(_("Professionnel : premier jour")),
    "windows/pro/last": Field(_("Professionnel : dernier jour")),
}


def _given(values: Values, errors: FormErrors) -> Given:
    windows: dict[str, Any] = {}
    for stream in STREAMS:
        first, last = (values.get(f"windows/{stream}/{end}", "") for end in ("first", "last"))
        for end, day in (("first", first), ("last", last)):
            if (first or last) and not _is_day(day):
                errors.add(f"windows/{stream}/{end}", _("Donnez le premier et le dernier jour, ou aucun."))
        if first or last:
            windows[stream] = {"first": first, "last": last}
    plain = {name: values.get(name, "") for name in ("title", "description", "coordinator_note")}
    return plain | {"region": values.get("region") or None, "windows": windows}


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


async def _options(desk: Desk, db: AsyncSession, values: Values) -> Options:
    return {"region": [("", _("Plusieurs régions")), *vocabularies.region_choices(desk.language)]}


EDITING = Editing(
    spec=SPEC,
    template="tour_form.html",
    given=_given,
    options=_options,
    groups={"windows": tuple(name for name in SPEC if name.startswith("windows/"))},
    names={f"windows/{stream}": f"windows/{stream}/first" for stream in STREAMS},
)


def values_of(tour: Tour) -> dict[str, str]:
    values = {
        "title": tour.title,
        "region": tour.region or "",
        "description": tour.description,
        "coordinator_note": tour.coordinator_note,
    }
    for stream, window in tour.windows.items():
        values |= {f"windows/{stream}/{end}": window[end] for end in ("first", "last")}
    return values


@router.get("/nouvelle")
async def new(request: Request, db: Reading, staff: Staff) -> Response:
    return await thing_editing.new_page(await desk_of(request, db), db, EDITING, {})


@router.post("/nouvelle")
async def create(request: Request, db: Transaction, staff: Staff) -> Response:
    async def make(given: Given) -> str:
        return f"/coordination/tournees/{(await touring.create_tour(db, given)).id}"

    return await thing_editing.create(request, db, staff, EDITING, make, what="tour-created")


@router.get("/{tour_id}/modifier")
async def edit(request: Request, db: Reading, staff: Staff, tour_id: UUID) -> Response:
    desk = await desk_of(request, db)
    return await thing_editing.edit_page(desk, db, EDITING, await _subject(db, tour_id))


@router.post("/{tour_id}/modifier")
async def save(request: Request, db: Transaction, staff: Staff, tour_id: UUID) -> Response:
    desk = await desk_of(request, db)

    async def change(given: Given, typed: Typed) -> tuple[str, int | None]:
        await touring.patch_tour(db, desk.instance, tour_id, given, expected=typed.version)
        return "saved", None

    return await thing_editing.save(request, db, EDITING, await _subject(db, tour_id), change)


async def _subject(db: AsyncSession, tour_id: UUID) -> Subject:
    tour = await required(db, Tour, tour_id)

    async def current() -> tuple[dict[str, str], int]:
        read = await db.get_one(Tour, tour_id, populate_existing=True)
        return values_of(read), read.version

    address = f"/coordination/tournees/{tour_id}"
    return Subject(tour.title, f"{address}/modifier", address, current)
