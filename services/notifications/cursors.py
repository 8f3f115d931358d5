"""Where a page of a list ends, as an opaque text."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

from libs.web.i18n import _
from libs.web.problems import Malformed
from libs.web.validation import FieldError


def write_cursor(moment: datetime, id_: UUID) -> str:
    """Where a page of a list ends; opaque to who asks."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {id_}".encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """The place that a cursor means; raises `Malformed`."""
    try:
        moment, _space, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        place = datetime.fromisoformat(moment), UUID(id_)
    except (ValueError, binascii.Error):
        place = None
    if place is None or place[0].tzinfo is None:
        raise Malformed(errors=[FieldError("cursor", _("Ce curseur n’est pas valable."))])
    return place
