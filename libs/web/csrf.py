"""Requests that another site made a browser send: refused by Origin and Sec-Fetch-Site, without tokens."""

from urllib.parse import urlsplit

from libs.web.auth import COOKIE, bearer_in
from libs.web.incoming import Incoming
from libs.web.problems import CrossSite

ONE_CLICK = "/desabonnement"
"""RFC 8058 unsubscribe: the mail provider posts it, from anywhere, with a token in the address."""


class CrossSiteCheck:
    """Raises `CrossSite` for an unsafe request that doesn't come from our own pages."""

    def __init__(self, *, base_url: str) -> None:
        self.own_host = urlsplit(base_url).netloc.lower()

    def check(self, incoming: Incoming) -> None:
        if not (incoming.is_safe or self._allowed(incoming)):
            raise CrossSite

    def _allowed(self, incoming: Incoming) -> bool:
        path = incoming.path
        if path == ONE_CLICK or path.startswith(ONE_CLICK + "/"):
            return True
        # A form can't set this header, so a browser was not tricked into it.
        if bearer_in(incoming.text(b"authorization") or "") is not None:
            return True
        site = incoming.text(b"sec-fetch-site")
        if site is not None and site in {"same-origin", "none"}:
            return True
        origin = incoming.text(b"origin")
        if origin is not None:
            return self._is_ours(origin, incoming)
        # Neither header: an old browser or a script. Without a session there is nothing to abuse.
        return site is None and not incoming.has_cookie(COOKIE)

    def _is_ours(self, origin: str, incoming: Incoming) -> bool:
        host = urlsplit(origin).netloc.lower()
        return bool(host) and host in {self.own_host, (incoming.text(b"host") or "").lower()}
