"""Requests that another site made a browser send: refused by Origin and Sec-Fetch-Site, without tokens."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.web.auth import COOKIE, bearer_of
from libs.web.problems import CrossSite

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
ONE_CLICK = "/desabonnement"
"""RFC 8058 unsubscribe: the mail provider posts it, from anywhere, with a token in the address."""


class CrossSiteCheck:
    """Raises `CrossSite` for an unsafe request that doesn't come from our own pages."""

    def __init__(self, app: ASGIApp, *, base_url: str) -> None:
        self.app = app
        self.own_host = urlsplit(base_url).netloc.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._allowed(Request(scope)):
            raise CrossSite
        await self.app(scope, receive, send)

    def _allowed(self, request: Request) -> bool:
        path = request.url.path
        if request.method in SAFE_METHODS or path == ONE_CLICK or path.startswith(ONE_CLICK + "/"):
            return True
        # A form can't set this header, so a browser was not tricked into it.
        if bearer_of(request) is not None:
            return True
        site = request.headers.get("sec-fetch-site")
        if site is not None and site in {"same-origin", "none"}:
            return True
        origin = request.headers.get("origin")
        if origin is not None:
            return self._is_ours(origin, request)
        # Neither header: an old browser or a script. Without a session there is nothing to abuse.
        return site is None and COOKIE not in request.cookies

    def _is_ours(self, origin: str, request: Request) -> bool:
        host = urlsplit(origin).netloc.lower()
        return bool(host) and host in {self.own_host, request.headers.get("host", "").lower()}
