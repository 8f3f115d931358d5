"""Activities: the templates that sessions are made from, in a list and one form."""

from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response

from libs import vocabularies
from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import FormErrors
from libs.web.i18n import _
from services.events import labels
from services.events import queries as lists
from services.events.catalogue import create_thing, patch_thing
from services.events.commands import required
from services.events.coordination import queries, thing_editing
from services.events.coordination.desk import Desk, choice_asked, desk_of, same_with, words_asked
from services.events.coordination.forms import Field, Typed
from services.events.coordination.merging import Values
from services.events.coordination.session_form import whole
from services.events.coordination.thing_editing import Editing, Given, Options, Subject, or_none
from services.events.models import Activity

router = APIRouter(prefix="/coordination/activites", include_in_schema=False)
_TEXTS = ("title", "description", "bring", "kind", "stream", "language")
_CHOICES = ("theme", "level", "delivered_by", "audience")


def _given(values: Values, errors: FormErrors) -> Given:
    numbers = {name: whole(values.get(name, ""), None) for name in ("duration_minutes", "capacity")}
    for name, number in numbers.items():
        if number is None:
            errors.add(name, _("Donnez un nombre."))
    return {name: values.get(name, "") for name in _TEXTS} | or_none(values, _CHOICES) | numbers


async def _options(desk: Desk, db: AsyncSession, values: Values) -> Options:
    language = desk.language
    return {
        "stream": list(vocabularies.choices("streams", language)),
        "kind": list(labels.KINDS.items()),
        "theme": [("", _("Aucun thème")), *vocabularies.choices("themes", language)],
        "level": [("", _("Sans niveau précis")), *vocabularies.choices("levels", language)],
        "language": list(vocabularies.choices("languages", language)),
        "delivered_by": [("", _("Pas encore décidé")), *vocabularies.choices("delivered_by", language)],
    }


EDITING = Editing(
    spec={
        "title": Field(_("Titre")),
        "stream": Field(_("Volet")),
        "kind": Field(_("Sorte d’activité")),
        "theme": Field(_("Thème")),
        "level": Field(_("Niveau")),
        "language": Field(_("Langue")),
        "delivered_by": Field(_("Animé par")),
        "audience": Field(_("Pour qui, en quelques mots")),
        "description": Field(_("Description")),
        "bring": Field(_("À apporter")),
        "duration_minutes": Field(_("Durée, en minutes")),
        "capacity": Field(_("Nombre de places")),
    },
    template="activity_form.html",
    given=_given,
    options=_options,
)


def values_of(activity: Activity) -> dict[str, str]:
    values = {name: getattr(activity, name) or "" for name in (*_TEXTS, *_CHOICES)}
    return values | {
        "duration_minutes": str(activity.duration_minutes),
        "capacity": str(activity.capacity),
    }


@router.get("")
async def table(request: Request, db: Reading, staff: Staff) -> Response:
    desk = await desk_of(request, db)
    q = words_asked(request, "q")
    theme = choice_asked(request, "theme", vocabularies.ids("themes"))
    stream = choice_asked(request, "stream", vocabularies.ids("streams"))
    conditions = [col(Activity.theme) == theme] if theme else []
    conditions += [col(Activity.stream) == stream] if stream else []
    after = request.query_params.get("cursor") or None
    found = await lists.things_page(db, Activity, q=q, conditions=conditions, after=after, limit=queries.PAGE)
    return desk.page(
        "activities.html",
        activities=found.items,
        filters={"q": q, "theme": theme, "stream": stream},
        themes=dict(vocabularies.choices("themes", desk.language)),
        streams=dict(vocabularies.choices("streams", desk.language)),
        options={
            "theme": [("", _("Tous les thèmes")), *vocabularies.choices("themes", desk.language)],
            "stream": [("", _("Tous les volets")), *vocabularies.choices("streams", desk.language)],
        },
        next_url=same_with(request, cursor=found.next) if found.next else "",
        first_url=same_with(request, cursor=None) if after else "",
    )


@router.get("/nouvelle")
async def new(request: Request, db: Reading, staff: Staff) -> Response:
    values = {
        "stream": "public",
        "kind": "workshop",
        "language": "fr",
        "duration_minutes": "120",
        "capacity": "12",
    }
    return await thing_editing.new_page(await desk_of(request, db), db, EDITING, values)


@router.post("/nouvelle")
async def create(request: Request, db: Transaction, staff: Staff) -> Response:
    async def make(given: Given) -> str:
        await create_thing(db, Activity, given)
        return "/coordination/activites"

    return await thing_editing.create(request, db, staff, EDITING, make, what="saved")


@router.get("/{activity_id}/modifier")
async def edit(request: Request, db: Reading, staff: Staff, activity_id: UUID) -> Response:
    desk = await desk_of(request, db)
    return await thing_editing.edit_page(desk, db, EDITING, await _subject(db, activity_id))


@router.post("/{activity_id}/modifier")
async def save(request: Request, db: Transaction, staff: Staff, activity_id: UUID) -> Response:
    """Sessions that were made from it stay as they are."""
    desk = await desk_of(request, db)

    async def change(given: Given, typed: Typed) -> tuple[str, int | None]:
        await patch_thing(db, desk.instance, Activity, activity_id, given, expected=typed.version)
        return "saved", None

    return await thing_editing.save(request, db, EDITING, await _subject(db, activity_id), change)


async def _subject(db: AsyncSession, activity_id: UUID) -> Subject:
    activity = await required(db, Activity, activity_id)

    async def current() -> tuple[dict[str, str], int]:
        read = await db.get_one(Activity, activity_id, populate_existing=True)
        return values_of(read), read.version

    address = f"/coordination/activites/{activity_id}/modifier"
    return Subject(activity.title, address, "/coordination/activites", current)
