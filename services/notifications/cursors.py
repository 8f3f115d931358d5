"""Where a page of a list ends, as an opaque text."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

from libs.web.i18n import _
from libs.web.problems import Malformed
from libs.web.validation import FieldError

Place = tuple[datetime, int, UUID]
"""Sorted by a moment, then a number, then an id; a list that has no number passes 0."""


def write_cursor(moment: datetime, number: int, id_: UUID) -> str:
    """The cursor of whatever comes after this place."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {number} {id_}".encode()).decode()


def read_cursor(cursor: str) -> Place:
    """The place that a cursor means; raises `Malformed`."""
    try:
        moment, number, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        place = datetime.fromisoformat(moment), int(number), UUID(id_)
    except (ValueError, binascii.Error):
        place = None
    if place is None or place[0].tzinfo is None or not 0 <= place[1] < 2**63:
        raise Malformed(errors=[FieldError("cursor", _("Ce curseur n’est pas valable."))])
    return place
