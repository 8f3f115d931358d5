"""`?lang=` on any page is remembered, so that the links on it keep working as they are."""

from starlette.requests import HTTPConnection

from libs.web.i18n import COOKIE, known_language
from libs.web.incoming import Incoming

YEAR = 365 * 24 * 3600


class LanguageSwitch:
    """Knows the cookie that a page's answer sets when its address chose a language."""

    def __init__(self, *, https: bool) -> None:
        self.secure = "; Secure" if https else ""

    def cookie(self, incoming: Incoming) -> tuple[bytes, bytes] | None:
        """The header to add to the answer, if any; programs name their language each time."""
        if b"lang=" not in incoming.scope["query_string"] or incoming.path.startswith("/api/"):
            return None
        language = known_language(HTTPConnection(incoming.scope).query_params.get("lang"))
        if language is None:
            return None
        value = f"{COOKIE}={language}; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Lax{self.secure}"
        return b"set-cookie", value.encode()
