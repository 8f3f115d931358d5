"""Who came, noted at the desk (`/guichet/seances/{id}/presences`): the whole list with one button."""

from collections.abc import Iterator
from typing import Final, get_args
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.web.app import service_of
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import _
from libs.web.problems import Conflict
from services.registrations.attendance import MOST_WALK_INS, Outcome, note_list
from services.registrations.desk import roster_page

router = APIRouter(prefix="/guichet/seances", include_in_schema=False)

MOST_PEOPLE = 2_000
"""On one list."""
_PERSON: Final = "personne-"
_OUTCOMES: Final[frozenset[str]] = frozenset(get_args(Outcome))


@router.post("/{session_id}/presences")
async def note(request: Request, staff: Staff, session_id: UUID) -> Response:
    """Note what is marked on the list and was not so when it was shown; then show the list again.

    « autres »: the button that marks everybody else as having come.
    """
    sent, errors = await read_form(request, max_fields=MOST_PEOPLE), FormErrors()
    walk_ins = _walk_ins(sent, errors)
    service, refused = service_of(request), None
    if not errors:
        try:
            async with service.database.transaction() as tx:
                await note_list(tx, service.settings, session_id, dict(_marked(sent)), walk_ins)
            return RedirectResponse(f"/guichet/seances/{session_id}?notees=1", 303)
        except Conflict as problem:
            refused = problem
    async with service.database.reading() as tx:
        return await roster_page(request, tx, session_id, sent=sent, errors=errors, refused=refused)


def _marked(sent: Form) -> Iterator[tuple[UUID, Outcome]]:
    """What was marked otherwise than it was shown: a colleague's note that came in between stays."""
    others = "autres" in sent
    for name, value in sent.items():
        if not name.startswith(_PERSON):
            continue
        shown, _sep, marked = value.partition(".")
        if others and marked == "confirmed":
            marked = "attended"
        person, outcome = _id(name.removeprefix(_PERSON)), _outcome(marked)
        if person is not None and outcome is not None and marked != shown:
            yield person, outcome


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _outcome(text: str) -> Outcome | None:
    return text if text in _OUTCOMES else None  # type: ignore[return-value]  # it is one of them


def _walk_ins(sent: Form, errors: FormErrors) -> int | None:
    """None if it is the number that was shown: a colleague's that came in between stays."""
    text = sent.get("walk_ins", "")
    if not text or text == sent.get("walk_ins_shown"):
        return None
    if not text.isascii() or not text.isdigit() or int(text[:9]) > MOST_WALK_INS:
        errors.add("walk_ins", _("Écrivez un nombre, comme 3."))
        return None
    return int(text)
