"""The mail catcher: takes what `notifications` sends when there is no mail server, and shows it to staff."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import APIRouter, FastAPI, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deploy.mailbox import Letter, Mailbox, Summary
from libs.clock import zone
from libs.web.app import Service, create_app
from libs.web.auth import Staff
from libs.web.problems import NotFound
from libs.web.security import CONTENT_SECURITY_POLICY
from libs.web.templating import render

_HERE = "America/Toronto"
"""The staff's wall clock."""
_Limit = Annotated[int, Query(ge=1, le=500)]

# A message's HTML is a stranger's: no script, no form, nothing loaded, not even a cookie of ours.
_LETTER_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
_FRAME_POLICY = f"{CONTENT_SECURITY_POLICY}; frame-src 'self'"


class _Catch:
    """What aiosmtpd calls for each message."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        identity = self._mailbox.next_id()
        recipients = [str(address) for address in envelope.rcpt_tos]
        # 250 promises that the message is safe, so it waits for the disk, in a thread.
        await asyncio.to_thread(self._mailbox.write, identity, envelope.mail_from or "", recipients, content)
        self._mailbox.add(identity)
        return "250 OK"


@asynccontextmanager
async def catching(mailbox: Mailbox, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Take mail while the block runs, on a free port if none is given; gives the `SMTP_URL` to send it to."""
    loop = asyncio.get_running_loop()
    handler = _Catch(mailbox)
    # aiosmtpd logs every command, and commands name people.
    logging.getLogger("mail.log").setLevel(logging.ERROR)

    def protocol() -> SMTP:
        # A host name of its own: the default asks the network for one.
        return SMTP(handler, hostname="localhost", ident="Tournée", enable_SMTPUTF8=True, loop=loop)

    server = await loop.create_server(protocol, host, port)
    try:
        yield f"smtp://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def create(service: Service, mailbox: Mailbox) -> FastAPI:
    """The pages of the catcher, for staff."""
    return create_app(service, package="deploy", routers=[_router(mailbox)])


def _router(mailbox: Mailbox) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/boite-envoi.json")
    async def listed(_staff: Staff, limit: _Limit = 50, cursor: str | None = None) -> Response:
        items, following = await asyncio.to_thread(mailbox.newest, limit, cursor)
        return JSONResponse({"items": [_as_json(item) for item in items], "next": following})

    @router.get("/boite-envoi")
    async def index(
        request: Request, _staff: Staff, limit: _Limit = 50, cursor: str | None = None
    ) -> Response:
        items, following = await asyncio.to_thread(mailbox.newest, limit, cursor)
        lines = [(item, _local(item.sent_at)) for item in items]
        next_href = str(request.url.include_query_params(cursor=following).query) if following else ""
        return render(
            request, "mailbox.html", lines=lines, next_href=next_href and f"?{next_href}", later=bool(cursor)
        )

    @router.get("/boite-envoi/{identity}.eml")
    async def download(_staff: Staff, identity: str) -> Response:
        headers = {"Content-Disposition": f'attachment; filename="{identity}.eml"'}
        return Response(await _content(identity), media_type="message/rfc822", headers=headers)

    @router.get("/boite-envoi/{identity}.html")
    async def html_part(_staff: Staff, identity: str) -> Response:
        letter = Letter(await _content(identity))
        if letter.html is None:
            raise NotFound
        headers = {"Content-Security-Policy": _LETTER_POLICY}
        return Response(letter.html, media_type="text/html; charset=utf-8", headers=headers)

    @router.get("/boite-envoi/{identity}")
    async def letter(request: Request, _staff: Staff, identity: str) -> Response:
        letter = Letter(await _content(identity))
        page = render(request, "letter.html", id=identity, letter=letter)
        page.headers["Content-Security-Policy"] = _FRAME_POLICY
        return page

    async def _content(identity: str) -> bytes:
        content = await asyncio.to_thread(mailbox.raw, identity)
        if content is None:
            raise NotFound
        return content

    return router


def _as_json(item: Summary) -> dict[str, str]:
    sent_at = item.sent_at.isoformat(timespec="milliseconds")
    return {"id": item.id, "to": item.to, "subject": item.subject, "sent_at": sent_at}


def _local(moment: datetime) -> datetime:
    return moment.astimezone(zone(_HERE))
