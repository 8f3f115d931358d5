"""The desk's page of a draw (`/guichet/seances/{id}/tirage`): who is in it, and giving it up."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.web.app import Reading, service_of
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.problems import Conflict
from libs.web.templating import render
from services.registrations import drawing, page_queries, queries
from services.registrations.api_draw import draw_detail
from services.registrations.inputs import Reason
from services.registrations.problems import DrawOver

router = APIRouter(prefix="/guichet", include_in_schema=False)


class _Cancelling(BaseModel):
    reason: Reason


@router.get("/seances/{session_id}/tirage")
async def show(request: Request, staff: Staff, tx: Reading, session_id: UUID) -> Response:
    """The draw as it stands, and the people who wait for it."""
    return await _page(request, tx, session_id)


@router.post("/seances/{session_id}/tirage/annuler")
async def cancel(request: Request, staff: Staff, session_id: UUID) -> Response:
    """Give the draw up; everybody who waits for it is told why."""
    form, service = await read_form(request), service_of(request)
    try:
        reason = _Cancelling.model_validate({"reason": form.get("reason", "")}).reason
    except ValidationError as error:
        return await _again(request, session_id, form, FormErrors.from_validation(error))
    try:
        async with service.database.transaction() as tx:
            await drawing.cancel_draw(tx, service.settings, session_id, reason, staff.id)
    except DrawOver as refused:
        return await _again(request, session_id, form, FormErrors(), refused)
    return RedirectResponse(f"/guichet/seances/{session_id}/tirage", 303)


async def _again(
    request: Request, session_id: UUID, form: Form, errors: FormErrors, refused: Conflict | None = None
) -> Response:
    async with service_of(request).database.reading() as tx:
        return await _page(request, tx, session_id, form, errors, refused)


async def _page(
    request: Request,
    tx: AsyncSession,
    session_id: UUID,
    form: Form | None = None,
    errors: FormErrors | None = None,
    refused: Conflict | None = None,
) -> Response:
    session = await page_queries.session_view(tx, session_id, channel="phone")
    draw = await draw_detail(tx, session_id)
    return render(
        request,
        "desk/draw.html",
        409 if refused else 422 if errors else 200,
        session=session,
        draw=draw,
        closes_at=session.local(draw.closes_at),
        draws_at=session.local(draw.draws_at),
        people=await queries.people(tx, session_id, ("pending",)),
        form=form or Form(),
        errors=errors or FormErrors(),
        refused=refused,
    )
