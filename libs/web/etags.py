"""Versions as entity tags: what an editor read, and whether it is still so (RFC 9110, 13.1.1)."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from libs.web.problems import PreconditionFailed, PreconditionRequired


def etag(version: int) -> str:
    return f'"{version}"'


def version_of(header: str) -> int | None:
    """The version that `If-Match` names; None for `*`. Raises `PreconditionFailed` for anything else.

    A proxy that compresses makes tags weak; `W/"3"` still names our version 3.
    """
    value = header.strip()
    if value == "*":
        return None
    digits = value.removeprefix("W/").strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise PreconditionFailed
    return int(digits)


def _expected(request: Request) -> int | None:
    header = request.headers.get("if-match")
    if header is None:
        raise PreconditionRequired
    return version_of(header)


def _expected_if_sent(request: Request) -> int | None:
    header = request.headers.get("if-match")
    return version_of(header) if header is not None else None


Expected = Annotated[int | None, Depends(_expected)]
"""The version of a PATCH, which must say it."""
ExpectedIfSent = Annotated[int | None, Depends(_expected_if_sent)]
"""The version of an action or a DELETE, which may say it."""
