"""Trainers: the list, their facts, what they deliver, and where they are needed twice."""

from collections import Counter
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import FormErrors
from libs.web.i18n import _
from services.events import labels
from services.events import queries as lists
from services.events.catalogue import create_thing, patch_thing
from services.events.commands import required
from services.events.coordination import queries, thing_editing
from services.events.coordination.desk import Desk, desk_of, same_with, words_asked
from services.events.coordination.forms import Field, Typed
from services.events.coordination.home import clash_sentences
from services.events.coordination.merging import Values
from services.events.coordination.rows import totals_of
from services.events.coordination.thing_editing import Editing, Given, Options, Subject, or_none
from services.events.models import Trainer

router = APIRouter(prefix="/coordination/animation", include_in_schema=False)


def _given(values: Values, errors: FormErrors) -> Given:
    plain = {"name": values.get("name", ""), "languages": values.get("languages", "").split()}
    return plain | or_none(values, ("email", "phone"))


async def _options(desk: Desk, db: AsyncSession, values: Values) -> Options:
    return {"languages": list(labels.LANGUAGES.items())}


EDITING = Editing(
    spec={
        "name": Field(_("Nom")),
        "email": Field(_("Courriel")),
        "phone": Field(_("Téléphone")),
        "languages": Field(_("Langues"), many=True),
    },
    template="trainer_form.html",
    given=_given,
    options=_options,
)


def values_of(trainer: Trainer) -> dict[str, str]:
    return {
        "name": trainer.name,
        "email": trainer.email or "",
        "phone": trainer.phone or "",
        "languages": " ".join(trainer.languages),
    }


@router.get("")
async def table(request: Request, db: Reading, staff: Staff) -> Response:
    desk = await desk_of(request, db)
    q = words_asked(request, "q")
    after = request.query_params.get("cursor") or None
    found = await lists.things_page(db, Trainer, q=q, after=after, limit=queries.PAGE)
    ahead = await queries.coming_by_trainer(db, desk.now, [trainer.id for trainer in found.items])
    clashes = Counter(clash.trainer_id for clash in await queries.clashes_ahead(db, desk.now))
    return desk.page(
        "trainers.html",
        trainers=[(trainer, ahead.get(trainer.id, 0), clashes.get(trainer.id, 0)) for trainer in found.items],
        q=q,
        language_names=labels.LANGUAGES,
        next_url=same_with(request, cursor=found.next) if found.next else "",
        first_url=same_with(request, cursor=None) if after else "",
    )


@router.get("/nouvelle")
async def new(request: Request, db: Reading, staff: Staff) -> Response:
    return await thing_editing.new_page(await desk_of(request, db), db, EDITING, {"languages": "fr"})


@router.post("/nouvelle")
async def create(request: Request, db: Transaction, staff: Staff) -> Response:
    async def make(given: Given) -> str:
        return f"/coordination/animation/{(await create_thing(db, Trainer, given)).id}"

    return await thing_editing.create(request, db, staff, EDITING, make, what="saved")


@router.get("/{trainer_id}")
async def show(request: Request, db: Reading, staff: Staff, trainer_id: UUID) -> Response:
    desk = await desk_of(request, db)
    trainer = await required(db, Trainer, trainer_id)
    rows = await queries.rows_of(
        db, await queries.trainer_sessions(db, trainer_id), desk.home_zone, desk.language
    )
    ahead = [row for row in rows if row.ends_at_utc > desk.now]
    found = await queries.clashes_ahead(db, desk.now, [row.id for row in ahead])
    return desk.page(
        "trainer.html",
        trainer=trainer,
        languages=[labels.label(labels.LANGUAGES, id_) for id_ in trainer.languages],
        ahead=ahead,
        totals=totals_of(ahead),
        past=len(rows) - len(ahead),
        clashes=await clash_sentences(desk, db, [clash for clash in found if clash.trainer_id == trainer_id]),
    )


@router.get("/{trainer_id}/modifier")
async def edit(request: Request, db: Reading, staff: Staff, trainer_id: UUID) -> Response:
    desk = await desk_of(request, db)
    return await thing_editing.edit_page(desk, db, EDITING, await _subject(db, trainer_id))


@router.post("/{trainer_id}/modifier")
async def save(request: Request, db: Transaction, staff: Staff, trainer_id: UUID) -> Response:
    desk = await desk_of(request, db)

    async def change(given: Given, typed: Typed) -> tuple[str, int | None]:
        await patch_thing(db, desk.instance, Trainer, trainer_id, given, expected=typed.version)
        return "saved", None

    return await thing_editing.save(request, db, EDITING, await _subject(db, trainer_id), change)


async def _subject(db: AsyncSession, trainer_id: UUID) -> Subject:
    trainer = await required(db, Trainer, trainer_id)

    async def current() -> tuple[dict[str, str], int]:
        read = await db.get_one(Trainer, trainer_id, populate_existing=True)
        return values_of(read), read.version

    address = f"/coordination/animation/{trainer_id}"
    return Subject(trainer.name, f"{address}/modifier", address, current)
