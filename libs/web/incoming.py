"""A request as the shell looks at it: its raw headers, read once, without the framework's objects."""

from starlette.requests import HTTPConnection
from starlette.types import Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Incoming:
    """What the parts of the shell ask about a request, before any route has been chosen.

    `headers` has lower-case names; of a header that is sent twice it holds the first, as Starlette does.
    """

    __slots__ = ("headers", "method", "path", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    @property
    def is_safe(self) -> bool:
        """Whether the method only reads (RFC 9110, 9.2.1)."""
        return self.method in SAFE_METHODS

    def text(self, name: bytes) -> str | None:
        """The value of a header; None when it wasn't sent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def has_cookie(self, name: str) -> bool:
        """Whether a cookie of that name was sent, whatever is in it."""
        if b"cookie" not in self.headers:
            return False
        # Most visitors have other cookies only; the syntax, and several headers, are Starlette's to know.
        wanted = name.encode()
        sent = any(wanted in value for key, value in self.scope["headers"] if key == b"cookie")
        return sent and name in HTTPConnection(self.scope).cookies
