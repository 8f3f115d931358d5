"""Static files: their addresses carry a hash of their content, so browsers may keep them for a year."""

import hashlib
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
KEPT = "public, max-age=31536000, immutable"
RECHECKED = "public, max-age=3600"
NOT_KEPT = "no-cache"


def static_url(name: str) -> str:
    """The address of `libs/web/static/{name}`: `/static/main.css?v=3f2a…`."""
    version = _version(name)
    return f"/static/{name}?v={version}" if version else f"/static/{name}"


def _version(name: str) -> str | None:
    path = FOLDER / name
    try:
        return _digest(path, path.stat().st_mtime_ns)
    except OSError:
        # A page without its picture is better than no page; a test looks for missing files.
        return None


@lru_cache(maxsize=256)
def _digest(path: Path, modified: int) -> str:
    """A short hash of the file; `modified` is part of the key, so an edited file gets a new one."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


class HashedStaticFiles(StaticFiles):
    """The static folder; what was asked with the right hash never changes, the rest is rechecked."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code in {200, 304}:
            asked = QueryParams(scope["query_string"]).get("v")
            response.headers["Cache-Control"] = _keeping(asked, _version(path))
        return response


def _keeping(asked: str | None, ours: str | None) -> str:
    """For how long a browser may keep the file; `asked` is the hash in the address that it asked for."""
    if asked is None:
        return RECHECKED
    # Another hash is another release's: while replicas are replaced one by one, the page came from another.
    return KEPT if asked == ours else NOT_KEPT
