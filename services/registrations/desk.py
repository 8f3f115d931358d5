"""The desk (`/guichet`): sessions with their seats, people by name or number, rosters."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs import vocabularies
from libs.web.app import Reading
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import _, language_of
from libs.web.problems import Conflict
from libs.web.templating import render
from services.registrations import page_queries, queries
from services.registrations.attendance import walk_ins_of
from services.registrations.desk_choices import nearest, spot_of
from services.registrations.reached import reach_of_all, unreached
from services.registrations.registration_view import STATUSES
from services.registrations.seatbook import SEATED
from services.registrations.session_view import SessionView
from services.registrations.signup_choices import seat_kind_label
from services.registrations.spelling import read_back
from services.registrations.wait_view import WAIT_STATES, places_of, theme_of

router = APIRouter(prefix="/guichet", include_in_schema=False)

OUTCOMES = {
    "attended": _("Venue"),
    "absent": _("Absente"),
    "excused": _("Excusée"),
    "confirmed": _("Pas noté"),
}
"""What can be noted of a person who had a seat."""
ALOUD = 3
"""As many choices as one remembers from hearing them."""


@router.get("")
async def start(
    request: Request, staff: Staff, tx: Reading, lieu: str = "", sujet: str = "", suite: str = ""
) -> Response:
    """Today's and the coming sessions; near a place or on a subject, the choices to read aloud."""
    if lieu.strip() or sujet:
        return await _choices(request, tx, lieu.strip(), sujet)
    page = await page_queries.desk_page(tx, _cursor(suite))
    today = [view for view in page.sessions if _is_today(view)]
    return render(
        request,
        "desk/start.html",
        **_asked(request, lieu, sujet),
        today=today,
        later=[view for view in page.sessions if not _is_today(view)],
        next=page.next,
        continued=bool(suite),
    )


@router.post("/recherche")
async def search(request: Request, staff: Staff, tx: Reading) -> Response:
    """People by name, telephone, e-mail or number: by POST, so that no name stands in an address."""
    text = (await read_form(request)).get("q", "")
    found = await page_queries.search(tx, text) if text else []
    waits = await page_queries.search_waits(tx, text) if text else ()
    if len(found) + len(waits) == 1 and read_back(text) is not None:
        path = f"attentes/{waits[0].id}" if waits else f"inscriptions/{found[0].registration.id}"
        return RedirectResponse(f"/guichet/{path}", 303)
    language = language_of(request)
    return render(
        request,
        "desk/search.html",
        asked_text=text,
        found=found,
        waits=[(wait, theme_of(wait, language), places_of(wait, language)) for wait in waits],
        wait_states=WAIT_STATES,
        many=page_queries.MANY,
        statuses=STATUSES,
    )


@router.get("/recherche")
async def search_again(staff: Staff) -> Response:
    """The address of the results, without their question: back to the start."""
    return RedirectResponse("/guichet", 303)


@router.get("/seances/{session_id}")
async def roster(request: Request, staff: Staff, tx: Reading, session_id: UUID, notees: str = "") -> Response:
    """Who has a seat, and what is to be prepared; from the start on, who came."""
    return await roster_page(request, tx, session_id, noted=bool(notees))


async def roster_page(
    request: Request,
    tx: AsyncSession,
    session_id: UUID,
    *,
    noted: bool = False,
    sent: Form | None = None,
    errors: FormErrors | None = None,
    refused: Conflict | None = None,
) -> Response:
    """The list as it is now; `sent`: what somebody marked on it that could not be noted, and why."""
    found = await _people(request, tx, session_id)
    session: SessionView = found["session"]
    errors = errors or FormErrors()
    return render(
        request,
        "desk/roster.html",
        409 if refused else 422 if errors else 200,
        **found,
        may_note=session.facts.status != "cancelled" and session.facts.starts_at_utc <= session.now,
        outcomes=OUTCOMES,
        walk_ins=await walk_ins_of(tx, session_id),
        noted=noted,
        form=sent or Form(),
        errors=errors,
        refused=refused,
    )


@router.get("/seances/{session_id}/feuille")
async def sheet(request: Request, staff: Staff, tx: Reading, session_id: UUID) -> Response:
    """The roster on paper: names and a place to tick, nothing about anybody's needs."""
    return render(request, "desk/sheet.html", **await _people(request, tx, session_id))


async def _people(request: Request, tx: AsyncSession, session_id: UUID) -> Mapping[str, Any]:
    session = await page_queries.session_view(tx, session_id, channel="phone")
    people = await queries.people(tx, session_id, (*SEATED, "offered"))
    people = sorted(people, key=lambda person: (person.status == "offered", person.name_key))
    needs = await page_queries.needs(tx, [person.id for person in people])
    language = language_of(request)
    return {
        "session": session,
        "people": people,
        "to_prepare": [
            (person, [vocabularies.label("accommodations", need, language) for need in needs[person.id]])
            for person in people
            if person.id in needs
        ],
        "statuses": STATUSES,
        "seat_kind_label": seat_kind_label,
        "unreached": await unreached(tx, session_id),
        "reach": await reach_of_all(tx, [person.id for person in people]),
    }


async def _choices(request: Request, tx: Reading, place: str, theme: str) -> Response:
    sessions = [view for view in await page_queries.coming(tx) if not theme or view.facts.theme == theme]
    spot = spot_of(place, sessions)
    choices = nearest(sessions, spot)
    return render(
        request,
        "desk/choices.html",
        **_asked(request, place, theme),
        spot=spot,
        choices=choices,
        aloud=[choice for choice in choices if _suits_a_caller(choice.session)][:ALOUD],
    )


def _suits_a_caller(view: SessionView) -> bool:
    """There is room, and it is for everybody."""
    return view.seats.available + view.seats.held > 0 and not view.pro


def _asked(request: Request, place: str, theme: str) -> Mapping[str, Any]:
    return {"place": place, "theme": theme, "themes": vocabularies.choices("themes", language_of(request))}


def _is_today(view: SessionView) -> bool:
    return view.day <= view.local(view.now).date()


def _cursor(text: str) -> tuple[datetime, UUID] | None:
    """Where the list goes on; what can't be read begins it anew."""
    moment, _sep, id_ = text.partition("_")
    try:
        start = datetime.fromisoformat(moment)
        return (start, UUID(id_)) if start.tzinfo is not None else None
    except ValueError:
        return None
