"""`/national/flux`: tells an open page that something changed, so that it may ask for itself again."""

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from libs.web.auth import NationalStaff
from libs.web.i18n import LazyString, _
from libs.web.problems import Problem, Unavailable
from services.national.watching import Changes

router = APIRouter(include_in_schema=False)

MEDIA_TYPE: Final = "text/event-stream"
QUIET: Final = 15.0
"""Seconds after which a stream without news says so: a proxy closes what says nothing."""


class NotAcceptable(Problem):
    """A stream for who asks for one: whoever follows the link with a browser would wait for ever."""

    status: ClassVar[int] = 406
    slug: ClassVar[str] = "not-acceptable"
    title: ClassVar[LazyString] = _("Cette adresse est pour les programmes")
    detail = _("Elle n’envoie que des événements (text/event-stream).")


@router.get("/national/flux")
async def flux(request: Request, staff: NationalStaff) -> Response:
    """Server-sent events named `change` with a version; the first one is the version of now."""
    if MEDIA_TYPE not in request.headers.get("accept", ""):
        raise NotAcceptable
    changes: Changes = request.app.state.changes
    if changes.full:
        raise Unavailable(headers={"Retry-After": "30"})
    return StreamingResponse(
        _events(changes, request.app.state.ending),
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(changes: Changes, ending: asyncio.Event) -> AsyncIterator[str]:
    async with changes.watched() as news:
        end = asyncio.create_task(ending.wait())
        told = asyncio.create_task(news.get())
        try:
            yield "retry: 5000\n\n"
            while not ending.is_set():
                await asyncio.wait({told, end}, timeout=QUIET, return_when=asyncio.FIRST_COMPLETED)
                if not told.done():
                    yield ": rien de nouveau\n\n"
                    continue
                newest = told.result()
                told = asyncio.create_task(news.get())
                yield f"event: change\ndata: {newest}\n\n"
        finally:
            for task in (end, told):
                task.cancel()
