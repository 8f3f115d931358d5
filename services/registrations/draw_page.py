"""The public page of a draw (`/tirage/{session_id}`): rules, tickets, result, and how to check it."""

import json
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs.web.app import service_of
from libs.web.templating import render
from services.registrations import page_queries
from services.registrations.api_draw import draw_detail

router = APIRouter(include_in_schema=False)


@router.get("/tirage/{session_id}")
async def show(request: Request, session_id: UUID) -> Response:
    """What is public of the draw at its present stage. Nobody is named: a ticket is a number."""
    async with service_of(request).database.reading() as tx:
        session = await page_queries.session_view(tx, session_id)
        draw = await draw_detail(tx, session_id)
    return render(
        request,
        "draw/page.html",
        session=session,
        draw=draw,
        closes_at=session.local(draw.closes_at),
        draws_at=session.local(draw.draws_at),
        drawn_at=None if draw.drawn_at is None else session.local(draw.drawn_at),
        seated=sum(outcome == "confirmed" for _ticket, _rank, outcome in draw.result or ()),
        lots=dict(draw.tickets or ()),
        # As the recipe of docs/draw.md reads it: the page alone is enough to check a draw.
        rules=json.dumps(draw.rules, sort_keys=True),
    )
