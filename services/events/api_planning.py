"""The JSON API of what sessions are planned from: programmes, templates, venues, trainers, tours."""

from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, create_model
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff
from libs.web.etags import Expected, ExpectedIfSent, etag
from libs.web.idempotency import IdempotencyKey
from services.events import catalogue, commands, inputs, queries, touring, views
from services.events.api import PREFIX, Cursor, Given, Limit, staff_answer
from services.events.api_bodies import body_of
from services.events.catalogue import Thing
from services.events.models import Activity, Programme, Stop, Tour, Trainer, Venue

router = APIRouter(prefix=PREFIX)
Search = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]
View = TypeVar("View", bound=BaseModel)


class VenueList(BaseModel):
    items: list[views.VenueView]
    next: str | None


@router.get("/venues", tags=["venues"])
async def list_venues(
    db: Reading, q: Search = "", region: Search = "", limit: Limit = 50, cursor: Cursor = None
) -> VenueList:
    """Find venues by words of their name, town, street or postal code; accents don't matter."""
    conditions = [col(Venue.region) == region] if region else []
    found = await queries.things_page(db, Venue, q=q, conditions=conditions, after=cursor, limit=limit)
    return VenueList(items=[views.VenueView.model_validate(venue) for venue in found.items], next=found.next)


@router.get("/venues/{thing_id}", tags=["venues"])
async def get_venue(response: Response, db: Reading, thing_id: UUID) -> views.VenueView:
    """One venue."""
    return _shown(response, await commands.required(db, Venue, thing_id), views.VenueView)


def _shown(response: Response, row: Any, view: type[View]) -> View:
    response.headers["ETag"] = etag(row.version)
    return view.model_validate(row)


def _reading(path: str, kind: type[Thing], view: type[BaseModel]) -> None:
    """GET the list and one of a kind that only staff may read."""

    @router.get(f"/{path}", name=f"list_{path}", response_model=_list_of(view), tags=[path])
    async def list_things(
        db: Reading, staff: Staff, q: Search = "", limit: Limit = 50, cursor: Cursor = None
    ) -> Any:
        found = await queries.things_page(db, kind, q=q, after=cursor, limit=limit)
        return {"items": [view.model_validate(item) for item in found.items], "next": found.next}

    @router.get(f"/{path}/{{thing_id}}", name=f"get_{path}", response_model=view, tags=[path])
    async def get_thing(response: Response, db: Reading, staff: Staff, thing_id: UUID) -> Any:
        return _shown(response, await commands.required(db, kind, thing_id), view)


def _writing(path: str, kind: type[Thing], body: type[inputs.Input], view: type[BaseModel]) -> None:
    """POST, PATCH and DELETE of a kind."""

    @router.post(
        f"/{path}",
        name=f"create_{path}",
        status_code=201,
        response_model=view,
        tags=[path],
        openapi_extra=body_of(body),
    )
    async def create(
        response: Response, db: Transaction, staff: Staff, key: IdempotencyKey, given: Given
    ) -> Any:
        known = await key.known(db)
        if known is not None:
            response.status_code = 200
            thing = await commands.required(db, kind, UUID(known["id"]))
        else:
            thing = await catalogue.create_thing(db, kind, given)
            await key.keep(db, {"id": str(thing.id)})
        response.headers["Location"] = f"{PREFIX}/{path}/{thing.id}"
        return _shown(response, thing, view)

    @router.patch(
        f"/{path}/{{thing_id}}",
        name=f"patch_{path}",
        response_model=view,
        tags=[path],
        openapi_extra=body_of(body, partial=True),
    )
    async def patch(
        request: Request,
        response: Response,
        db: Transaction,
        staff: Staff,
        expected: Expected,
        thing_id: UUID,
        given: Given,
    ) -> Any:
        instance = service_of(request).settings.instance
        thing = await catalogue.patch_thing(db, instance, kind, thing_id, given, expected=expected)
        return _shown(response, thing, view)

    @router.delete(f"/{path}/{{thing_id}}", name=f"delete_{path}", status_code=204, tags=[path])
    async def delete(db: Transaction, staff: Staff, expected: ExpectedIfSent, thing_id: UUID) -> None:
        await catalogue.delete_thing(db, kind, thing_id, expected=expected)


def _list_of(view: type[BaseModel]) -> Any:
    name = view.__name__.removesuffix("View") + "List"
    return create_model(name, items=(list[view], ...), next=(str | None, ...))  # type: ignore[valid-type]


_writing("venues", Venue, inputs.VenueInput, views.VenueView)
_reading("programmes", Programme, views.ProgrammeView)
_writing("programmes", Programme, inputs.ProgrammeInput, views.ProgrammeView)
_reading("activities", Activity, views.ActivityView)
_writing("activities", Activity, inputs.ActivityInput, views.ActivityView)
_reading("trainers", Trainer, views.TrainerView)
_writing("trainers", Trainer, inputs.TrainerInput, views.TrainerView)


# --- Tours ------------------------------------------------------------------------------------------------


class TourList(BaseModel):
    items: list[views.TourView]
    next: str | None


class SessionRefs(BaseModel):
    """The sessions that an action touched, and how their tour stands now."""

    tour: views.TourView
    session_ids: list[UUID]


@router.get("/tours", tags=["tours"])
async def list_tours(
    db: Reading, staff: Staff, q: Search = "", region: Search = "", limit: Limit = 50, cursor: Cursor = None
) -> TourList:
    """Tours by title, without their stops."""
    conditions = [col(Tour.region) == region] if region else []
    found = await queries.things_page(db, Tour, q=q, conditions=conditions, after=cursor, limit=limit)
    return TourList(items=[views.TourView.of(tour, []) for tour in found.items], next=found.next)


@router.get("/tours/{tour_id}", tags=["tours"])
async def get_tour(response: Response, db: Reading, staff: Staff, tour_id: UUID) -> views.TourView:
    """A tour with its stops in their order."""
    return await _tour(response, db, tour_id)


@router.post("/tours", status_code=201, tags=["tours"], openapi_extra=body_of(inputs.TourInput))
async def create_tour(
    response: Response, db: Transaction, staff: Staff, key: IdempotencyKey, given: Given
) -> views.TourView:
    """Begin a tour."""
    known = await key.known(db)
    if known is not None:
        response.status_code = 200
        return await _tour(response, db, UUID(known["id"]))
    tour = await touring.create_tour(db, given)
    await key.keep(db, {"id": str(tour.id)})
    return await _new_tour(response, db, tour)


@router.patch("/tours/{tour_id}", tags=["tours"], openapi_extra=body_of(inputs.TourInput, partial=True))
async def patch_tour(
    request: Request,
    response: Response,
    db: Transaction,
    staff: Staff,
    expected: Expected,
    tour_id: UUID,
    given: Given,
) -> views.TourView:
    """Change a tour."""
    await touring.patch_tour(db, _instance(request), tour_id, given, expected=expected)
    return await _tour(response, db, tour_id)


@router.delete("/tours/{tour_id}", status_code=204, tags=["tours"])
async def delete_tour(db: Transaction, staff: Staff, expected: ExpectedIfSent, tour_id: UUID) -> None:
    """Remove a draft tour with its drafts."""
    await touring.delete_tour(db, tour_id, expected=expected)


@router.post(
    "/tours/{tour_id}/copy", status_code=201, tags=["tours"], openapi_extra=body_of(inputs.CopyTourInput)
)
async def copy_tour(
    response: Response, db: Transaction, staff: Staff, key: IdempotencyKey, tour_id: UUID, given: Given
) -> views.TourView:
    """Copy a tour with its stops and sessions, some weeks later, at the same wall times."""
    known = await key.known(db)
    if known is not None:
        response.status_code = 200
        return await _tour(response, db, UUID(known["id"]))
    tour = await touring.copy_tour(db, tour_id, given)
    await key.keep(db, {"id": str(tour.id)})
    return await _new_tour(response, db, tour)


@router.post("/tours/{tour_id}/publish", tags=["tours"])
async def publish_tour(
    request: Request,
    response: Response,
    db: Transaction,
    staff: Staff,
    expected: ExpectedIfSent,
    key: IdempotencyKey,
    tour_id: UUID,
    given: Annotated[dict[str, Any], Body()] = {},  # noqa: B006  # FastAPI copies it
) -> SessionRefs:
    """Publish a tour and all its drafts, or none of them."""
    inputs.read(inputs.Input, given)
    ids = (await key.known(db) or {}).get("session_ids")
    if ids is None:
        sessions = await touring.publish_tour(db, _instance(request), tour_id, expected=expected)
        ids = [str(session.id) for session in sessions]
        await key.keep(db, {"session_ids": ids})
    return SessionRefs(tour=await _tour(response, db, tour_id), session_ids=ids)


@router.post("/tours/{tour_id}/cancel", tags=["tours"], openapi_extra=body_of(inputs.ReasonInput))
async def cancel_tour(
    request: Request,
    response: Response,
    db: Transaction,
    staff: Staff,
    expected: ExpectedIfSent,
    key: IdempotencyKey,
    tour_id: UUID,
    given: Annotated[dict[str, Any], Body()] = {},  # noqa: B006  # FastAPI copies it
) -> SessionRefs:
    """Cancel a tour and its published sessions. Everybody who is registered is told."""
    ids = (await key.known(db) or {}).get("session_ids")
    if ids is None:
        sessions = await touring.cancel_tour(db, _instance(request), tour_id, given, expected=expected)
        ids = [str(session.id) for session in sessions]
        await key.keep(db, {"session_ids": ids})
    return SessionRefs(tour=await _tour(response, db, tour_id), session_ids=ids)


@router.post(
    "/tours/{tour_id}/stops", status_code=201, tags=["tours"], openapi_extra=body_of(inputs.StopInput)
)
async def add_stop(
    response: Response, db: Transaction, staff: Staff, key: IdempotencyKey, tour_id: UUID, given: Given
) -> views.StopView:
    """Add a stop, at its position or at the end."""
    known = await key.known(db)
    if known is not None:
        response.status_code = 200
        stop = await commands.required(db, Stop, UUID(known["id"]))
    else:
        stop = await touring.add_stop(db, tour_id, given)
        await key.keep(db, {"id": str(stop.id)})
    response.headers["Location"] = f"{PREFIX}/stops/{stop.id}"
    return _shown(response, stop, views.StopView)


@router.get("/stops/{stop_id}", tags=["tours"])
async def get_stop(response: Response, db: Reading, staff: Staff, stop_id: UUID) -> views.StopView:
    """One stop."""
    return _shown(response, await commands.required(db, Stop, stop_id), views.StopView)


@router.patch("/stops/{stop_id}", tags=["tours"], openapi_extra=body_of(inputs.StopInput, partial=True))
async def patch_stop(
    response: Response, db: Transaction, staff: Staff, expected: Expected, stop_id: UUID, given: Given
) -> views.StopView:
    """Change a stop, or its place in the order."""
    return _shown(response, await touring.patch_stop(db, stop_id, given, expected=expected), views.StopView)


@router.delete("/stops/{stop_id}", status_code=204, tags=["tours"])
async def remove_stop(db: Transaction, staff: Staff, expected: ExpectedIfSent, stop_id: UUID) -> None:
    """Remove a stop and its drafts."""
    await touring.remove_stop(db, stop_id, expected=expected)


@router.post(
    "/stops/{stop_id}/sessions",
    status_code=201,
    tags=["tours"],
    openapi_extra=body_of(inputs.FromTemplateInput),
)
async def add_session_to_stop(
    request: Request,
    response: Response,
    db: Transaction,
    staff: Staff,
    key: IdempotencyKey,
    stop_id: UUID,
    given: Given,
) -> views.StaffSessionView:
    """Add a draft to a stop, made from a template."""
    known = await key.known(db)
    if known is not None:
        response.status_code = 200
        session_id = UUID(known["id"])
    else:
        session_id = (await touring.add_session_to_stop(db, stop_id, given)).id
        await key.keep(db, {"id": str(session_id)})
    response.headers["Location"] = f"{PREFIX}/sessions/{session_id}"
    return await staff_answer(request, response, db, session_id)


def _instance(request: Request) -> str:
    return service_of(request).settings.instance


async def _tour(response: Response, db: AsyncSession, tour_id: UUID) -> views.TourView:
    tour = await commands.required(db, Tour, tour_id)
    response.headers["ETag"] = etag(tour.version)
    return views.TourView.of(tour, await touring.stops_of(db, tour_id))


async def _new_tour(response: Response, db: AsyncSession, tour: Tour) -> views.TourView:
    response.headers["Location"] = f"{PREFIX}/tours/{tour.id}"
    return await _tour(response, db, tour.id)
