"""What browsers are told not to do with our answers, and how much we read of a request."""

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from libs.web.auth import COOKIE
from libs.web.incoming import Incoming

RawHeader = tuple[bytes, bytes]

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
NO_STORE = (b"cache-control", b"no-store")
NO_CACHE = (b"cache-control", b"no-cache")
VARY = (b"vary", b"Cookie")
PRIVATE = (
    "/coordination", "/guichet", "/national", "/boite-envoi", "/connexion", "/deconnexion",
    "/inscription", "/mon-inscription", "/attendre", "/mon-attente", "/abonnement", "/desabonnement",
)  # fmt: skip
"""Pages of staff, and pages on which a person types or reads about themselves."""

MAX_BODY = 256 * 1024
"""Bytes of a request; the longest honest one, a tour with all its stops, is about 50 kB."""


class SecurityHeaders:
    """The headers of every answer; `no-store` where nobody else at this computer may look."""

    def __init__(self, *, https: bool) -> None:
        always = dict(HEADERS) | ({"Strict-Transport-Security": HSTS} if https else {})
        self.always = tuple((name.lower().encode(), value.encode()) for name, value in always.items())
        self.names = frozenset(name for name, _value in self.always)

    def add_to(self, headers: list[RawHeader], incoming: Incoming) -> None:
        """Add to the headers of an answer what it hasn't said itself."""
        said = {name for name, _value in headers}
        if self.names.isdisjoint(said):
            headers += self.always
        else:
            headers += [header for header in self.always if header[0] not in said]
        if b"cache-control" not in said:
            # Pages differ by language and by who is signed in, so caches ask again each time.
            headers.append(NO_STORE if is_private(incoming) else NO_CACHE)
            if b"vary" in said:
                MutableHeaders(raw=headers).add_vary_header("Cookie")
            else:
                headers.append(VARY)


def is_private(incoming: Incoming) -> bool:
    """Whether an answer is for one person only: it shows what that person typed or may see."""
    if b"authorization" in incoming.headers or incoming.path.startswith(PRIVATE):
        return True
    return incoming.has_cookie(COOKIE)


class BodyLimit:
    """Refuses a body beyond `limit` bytes: by its announced length before reading, else while reading."""

    def __init__(self, *, limit: int = MAX_BODY) -> None:
        self.limit = limit

    def guarded(self, incoming: Incoming, receive: Receive) -> Receive:
        """`receive`, counted where that is needed; raises 413 for a length beyond the limit."""
        announced = incoming.headers.get(b"content-length")
        if announced is not None and not (announced.isdigit() and int(announced[:20]) <= self.limit):
            raise HTTPException(413)
        # The server reads no further than the announced length; only a body in chunks has none.
        # (A safe request without either header has no body: RFC 9112, 6.3.)
        if b"transfer-encoding" not in incoming.headers and (announced is not None or incoming.is_safe):
            return receive
        return self._counted(receive)

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                # FastAPI turns other exceptions met while it reads a body into a 400.
                raise HTTPException(413)
            return message

        return receive_some
