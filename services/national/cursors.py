"""Where a page of sessions ends, as an opaque text."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

from libs.web.i18n import _
from libs.web.problems import Malformed
from libs.web.validation import FieldError

Place = tuple[datetime, UUID]
"""Sorted by a moment, then an id."""


def write_cursor(moment: datetime, id_: UUID) -> str:
    """The cursor of whatever comes after this place."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {id_}".encode()).decode()


def read_cursor(cursor: str) -> Place:
    """The place that a cursor means; raises `Malformed`."""
    try:
        moment, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        place = datetime.fromisoformat(moment), UUID(id_)
    except (ValueError, binascii.Error):
        place = None
    if place is None or place[0].tzinfo is None or not 2000 <= place[0].year <= 2101:
        raise bad_cursor()
    return place


def read_number(cursor: str) -> int:
    """The number that the cursor of a numbered list is; raises `Malformed`."""
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise bad_cursor()
    return int(cursor)


def bad_cursor() -> Malformed:
    return Malformed(errors=[FieldError("cursor", _("Ce curseur n’est pas valable."))])
