"""The JSON API of events: sessions for everybody, the rest for staff. The outside is `/api/events/v1`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import MaybeStaff, Staff, StaffMember
from libs.web.etags import Expected, ExpectedIfSent, etag
from libs.web.i18n import _
from libs.web.idempotency import IdempotencyKey
from libs.web.kept import Keep
from libs.web.problems import Malformed, Unauthorized
from libs.web.validation import FieldError
from services.events import commands, inputs, public_queries, queries
from services.events.api_bodies import body_of
from services.events.asking import ask
from services.events.calendar_filters import ADDRESS_NAMES
from services.events.inputs import refuse
from services.events.problems import UnknownSession
from services.events.public_queries import BadCursor
from services.events.views import SessionView, StaffSessionView, session_view, staff_session_view

PREFIX = "/api/events/v1"
router = APIRouter(prefix=PREFIX, tags=["sessions"])

KEPT = Keep(
    f"{PREFIX}/sessions",
    frozenset({*ADDRESS_NAMES, "status", "limit", "cursor", "lang"}),
    # Seats are on their way from registrations for a moment too: together, less than a second.
    seconds=0.6,
)

Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=1000)]
Given = Annotated[dict[str, Any], Body()]


class SessionList(BaseModel):
    """`next` is the cursor of the following page, null at the end."""

    items: Sequence[StaffSessionView | SessionView]
    next: str | None


def _described_filters() -> dict[str, Any]:
    """The calendar's filters for OpenAPI; they are read by the calendar page's own rules."""
    names = ("region", "theme", "stream", "modality", "language", "from", "to", "near", "available", "q")
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in names
        ]
    }


@router.post("/sessions", status_code=201, openapi_extra=body_of(inputs.SessionInput))
async def create_session(
    request: Request, response: Response, db: Transaction, staff: Staff, key: IdempotencyKey, given: Given
) -> StaffSessionView:
    """Write a draft. Nobody is told, and it is not public, until it is published."""
    known = await key.known(db)
    if known is not None:
        response.status_code = 200
        session_id = UUID(known["id"])
    else:
        session_id = (await commands.create_session(db, given)).id
        await key.keep(db, {"id": str(session_id)})
    response.headers["Location"] = f"{PREFIX}/sessions/{session_id}"
    return await staff_answer(request, response, db, session_id)


@router.get("/sessions", response_model=SessionList, openapi_extra=_described_filters())
async def list_sessions(
    request: Request,
    db: Reading,
    staff: MaybeStaff,
    status: Annotated[list[str], Query()] = [],  # noqa: B006  # FastAPI copies it
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The calendar: what is announced and not over; `from` and `to` bound the days, `status` picks others.

    Filters are those of the calendar's page; one that can't be understood is refused here.
    """
    question = await ask(request, db)
    if question.mistakes:
        raise Malformed(errors=[FieldError(name, text) for name, text in question.mistakes.items()])
    asked = replace(question.asked, statuses=_statuses(status, staff))
    try:
        page = await public_queries.matching(db, asked, cursor, limit=limit)
    except BadCursor as error:
        raise queries.bad_cursor() from error
    found = await queries.records(db, list(page.distances))
    base_url = service_of(request).settings.base_url
    view = staff_session_view if staff else session_view
    items = [
        view(item.model_copy(update={"distance_km": _rounded(page.distances[item.session.id])}), base_url)
        for item in found
    ]
    # As text at once: FastAPI would validate each of the views anew.
    content = SessionList.model_construct(items=items, next=page.next).model_dump_json()
    return Response(content, media_type="application/json")


@router.get("/sessions/{session_id}")
async def get_session(
    request: Request, response: Response, db: Reading, staff: MaybeStaff, session_id: UUID
) -> StaffSessionView | SessionView:
    """One session; drafts are for staff."""
    record = await queries.record(db, session_id)
    if record is None or (staff is None and record.session.published_at is None):
        raise UnknownSession
    response.headers["ETag"] = etag(record.session.version)
    base_url = service_of(request).settings.base_url
    return staff_session_view(record, base_url) if staff else session_view(record, base_url)


@router.patch("/sessions/{session_id}", openapi_extra=body_of(inputs.SessionInput, partial=True))
async def patch_session(
    request: Request,
    response: Response,
    db: Transaction,
    staff: Staff,
    expected: Expected,
    session_id: UUID,
    given: Given,
) -> StaffSessionView:
    """Change some fields; `reason` tells the people concerned why. Needs `If-Match`."""
    instance = service_of(request).settings.instance
    await commands.patch_session(db, instance, session_id, given, expected=expected)
    return await staff_answer(request, response, db, session_id)


@router.delete("/sessions/{session_id}", status_code=204)
async def delete_session(db: Transaction, staff: Staff, expected: ExpectedIfSent, session_id: UUID) -> None:
    """Remove a draft. A published session is cancelled instead."""
    await commands.delete_session(db, session_id, expected=expected)


@router.post("/sessions/{session_id}/publish")
async def publish_session(
    request: Request,
    response: Response,
    db: Transaction,
    staff: Staff,
    expected: ExpectedIfSent,
    key: IdempotencyKey,
    session_id: UUID,
    given: Annotated[dict[str, Any], Body()] = {},  # noqa: B006  # FastAPI copies it
) -> StaffSessionView:
    """Put a draft on the calendar. Publishing again changes nothing."""
    inputs.read(inputs.Input, given)
    if await key.known(db) is None:
        instance = service_of(request).settings.instance
        await commands.publish_session(db, instance, session_id, expected=expected)
        await key.keep(db, {"id": str(session_id)})
    return await staff_answer(request, response, db, session_id)


@router.post("/sessions/{session_id}/reschedule", openapi_extra=body_of(inputs.RescheduleInput))
async def reschedule_session(
    request: Request,
    response: Response,
    db: Transaction,
    staff: Staff,
    expected: ExpectedIfSent,
    key: IdempotencyKey,
    session_id: UUID,
    given: Given,
) -> StaffSessionView:
    """Move a session. Everybody who is registered is told."""
    if await key.known(db) is None:
        instance = service_of(request).settings.instance
        await commands.reschedule_session(db, instance, session_id, given, expected=expected)
        await key.keep(db, {"id": str(session_id)})
    return await staff_answer(request, response, db, session_id)


@router.post("/sessions/{session_id}/cancel", openapi_extra=body_of(inputs.ReasonInput))
async def cancel_session(
    request: Request,
    response: Response,
    db: Transaction,
    staff: Staff,
    expected: ExpectedIfSent,
    key: IdempotencyKey,
    session_id: UUID,
    given: Annotated[dict[str, Any], Body()] = {},  # noqa: B006  # FastAPI copies it
) -> StaffSessionView:
    """Cancel a session. Everybody who is registered is told. Cancelling again changes nothing."""
    if await key.known(db) is None:
        instance = service_of(request).settings.instance
        await commands.cancel_session(db, instance, session_id, given, expected=expected)
        await key.keep(db, {"id": str(session_id)})
    return await staff_answer(request, response, db, session_id)


@router.put("/sessions/{session_id}/trainers/{trainer_id}", status_code=204)
async def assign_trainer(db: Transaction, staff: Staff, session_id: UUID, trainer_id: UUID) -> None:
    """Say that a trainer delivers a session."""
    await commands.assign_trainer(db, session_id, trainer_id)


@router.delete("/sessions/{session_id}/trainers/{trainer_id}", status_code=204)
async def unassign_trainer(db: Transaction, staff: Staff, session_id: UUID, trainer_id: UUID) -> None:
    """A trainer no longer delivers a session."""
    await commands.unassign_trainer(db, session_id, trainer_id)


async def staff_answer(
    request: Request, response: Response, db: AsyncSession, session_id: UUID
) -> StaffSessionView:
    """The session as staff see it, with its ETag."""
    record = await queries.record(db, session_id)
    if record is None:  # a draft that was deleted since its key was kept
        raise UnknownSession
    response.headers["ETag"] = etag(record.session.version)
    return staff_session_view(record, service_of(request).settings.base_url)


_PUBLIC = ("published", "held", "cancelled")


def _statuses(asked: list[str], staff: StaffMember | None) -> tuple[str, ...]:
    unknown = [status for status in asked if status not in (*_PUBLIC, "draft")]
    if unknown:
        expected = ", ".join((*_PUBLIC, "draft"))
        raise refuse("status", _("Choisissez une des réponses proposées : %(expected)s.", expected=expected))
    if "draft" in asked and staff is None:
        raise Unauthorized
    return tuple(dict.fromkeys(asked))


def _rounded(km: float | None) -> float | None:
    return round(km, 1) if km is not None else None
