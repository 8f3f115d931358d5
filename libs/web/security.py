"""What browsers are told not to do with our answers, and how much we read of a request."""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.web.auth import COOKIE

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # The address of a personal page is its key: it stays here.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
HSTS = "max-age=31536000"
PRIVATE = (
    "/coordination", "/guichet", "/national", "/boite-envoi", "/connexion", "/deconnexion",
    "/inscription", "/mon-inscription", "/abonnement", "/desabonnement",
)  # fmt: skip
"""Pages of staff, and pages on which a person types or reads about themselves."""

MAX_BODY = 256 * 1024
"""Bytes of a request; the longest honest one, a tour with all its stops, is about 50 kB."""


class SecurityHeaders:
    """Adds the headers to every answer; `no-store` where nobody else at this computer may look."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = dict(HEADERS) | ({"Strict-Transport-Security": HSTS} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        private = _is_private(HTTPConnection(scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                if "cache-control" not in headers:
                    # Pages differ by language and by who is signed in, so caches ask again each time.
                    headers["Cache-Control"] = "no-store" if private else "no-cache"
                    headers.add_vary_header("Cookie")
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _is_private(request: HTTPConnection) -> bool:
    known = COOKIE in request.cookies or "authorization" in request.headers
    return known or request.url.path.startswith(PRIVATE)


class BodyLimit:
    """Refuses a body beyond `limit` bytes: by its announced length before reading, else while reading."""

    def __init__(self, app: ASGIApp, *, limit: int = MAX_BODY) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced[:20]) > self.limit:
            raise HTTPException(413)
        received = 0

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                # FastAPI turns other exceptions met while it reads a body into a 400.
                raise HTTPException(413)
            return message

        await self.app(scope, receive_some, send)
