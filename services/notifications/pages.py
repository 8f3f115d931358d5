"""The team's call list: whom to call or write to, the words to say, and what came of it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from libs.clock import zone
from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import _, language_of
from libs.web.problems import Malformed, NotFound
from libs.web.templating import render
from services.notifications import commands, labels, outcomes, queries
from services.notifications.attempts import BY_MACHINE
from services.notifications.commands import OutcomeInput
from services.notifications.cursors import read_cursor, write_cursor
from services.notifications.models import Attempt, CallOutcome
from services.notifications.queries import CALL_STATES, Call
from services.notifications.sender import Sender
from services.notifications.wording import say

router = APIRouter(prefix="/guichet/appels", include_in_schema=False)

_PER_PAGE = 50
_LONGEST_NOTE = 500
_LONGEST_INITIALS = 8


@router.get("")
async def call_list(
    request: Request,
    reading: Reading,
    staff: Staff,
    state: Annotated[str, Query()] = "open",
    cursor: Annotated[str | None, Query()] = None,
) -> HTMLResponse:
    """The calls and letters in one state; the most pressing stands first."""
    if state not in CALL_STATES:
        raise NotFound
    after = read_cursor(cursor) if cursor else None
    found = await queries.calls(reading, state, limit=_PER_PAGE + 1, after=after)
    shown = found[:_PER_PAGE]
    following = ""
    if len(found) > _PER_PAGE:
        following = f"?state={state}&cursor={write_cursor(*queries.place_of(shown[-1]))}"
    return _private(
        render(
            request,
            "guichet/calls.html",
            calls=shown,
            state=state,
            counts=await queries.counts(reading),
            states=CALL_STATES,
            labels=labels,
            tries=await queries.attempts_of(reading, [call.delivery.id for call in shown]),
            moment=_local,
            before=lambda call: _local(call, call.delivery.call_before),
            is_today=lambda call: (
                _local(call, call.delivery.call_before).date() == _local(call, call.now).date()
            ),
            later=lambda call: _local(call, call.delivery.next_attempt_at),
            next_href=following,
            first_href=f"?state={state}" if cursor else "",
        )
    )


@router.get("/{id}")
async def call_page(request: Request, reading: Reading, staff: Staff, id: UUID) -> HTMLResponse:
    """One call: the number, the words to say, and the form for what came of it."""
    return await _call_page(request, reading, id)


@router.post("/{id}/prendre")
async def take(request: Request, tx: Transaction, staff: Staff, id: UUID) -> Response:
    """« Je m’en occupe »: nobody else calls meanwhile."""
    form = await read_form(request)
    errors = _check_initials(form, "desk")
    if errors:
        return await _call_page(request, tx, id, form, errors)
    await commands.take_call(tx, id, _initials(form, "desk"))
    return RedirectResponse(f"/guichet/appels/{id}", 303)


@router.post("/{id}/laisser")
async def leave(request: Request, tx: Transaction, staff: Staff, id: UUID) -> Response:
    """Put the call back into the list."""
    await commands.put_back(tx, id)
    return RedirectResponse("/guichet/appels", 303)


@router.post("/{id}/resultat")
async def outcome(request: Request, tx: Transaction, staff: Staff, id: UUID) -> Response:
    """Write down what came of it; back to the list."""
    form = await read_form(request)
    call = await _find(tx, id)
    errors = _check_initials(form, "initials")
    if form.get("outcome") not in _offered(call):
        errors.add("outcome", _("Dites ce que l’appel a donné."))
    if len(form.get("note", "")) > _LONGEST_NOTE:
        errors.add("note", _("Écrivez au plus %(count)s caractères.", count=_LONGEST_NOTE))
    number = form.get("number", "")
    if not number.isdecimal():
        raise Malformed
    if errors:
        return await _call_page(request, tx, id, form, errors)
    given = OutcomeInput(form["outcome"], _initials(form, "initials"), form.get("note", ""), int(number[:6]))
    await commands.record_outcome(tx, service_of(request).settings, id, given)
    return RedirectResponse("/guichet/appels", 303)


async def _call_page(
    request: Request,
    session: AsyncSession,
    id_: UUID,
    form: Form | None = None,
    errors: FormErrors | None = None,
) -> HTMLResponse:
    call = await _find(session, id_)
    facts = await queries.facts_of(session, call)
    sender = Sender.of(service_of(request).settings)
    template = f"{facts.spoken_folder}/words.txt"
    on_paper = call.delivery.route == "postal"
    spoken = say(template, facts, sender, call.now, on_paper=on_paper)
    reader = language_of(request)
    helper = None if reader == facts.language else say(template, facts, sender, call.now, language=reader)
    return _private(
        render(
            request,
            "guichet/call.html",
            422 if errors else 200,
            call=call,
            facts=facts,
            session=facts.cause.session,
            paragraphs=_paragraphs(spoken),
            helper=_paragraphs(helper) if helper else None,
            helper_language=reader,
            on_paper=on_paper,
            tries=[(item, _local(call, item.at), noted) for item, noted in await _tries(session, id_)],
            others=await queries.other_calls(session, id_) if call.is_open else [],
            call_before=_local(call, call.delivery.call_before),
            choices=[
                {
                    "value": name,
                    "label": labels.OUTCOMES[name],
                    "help": labels.outcome_help(name, call.is_pressing),
                }
                for name in _offered(call)
            ],
            labels=labels,
            form=form or Form([("initials", call.taken_by or "")]),
            errors=errors or FormErrors(),
        )
    )


async def _tries(session: AsyncSession, id_: UUID) -> list[tuple[Attempt, CallOutcome | None]]:
    """Every try so far, each call or letter with who noted what of it."""
    noted = iter(await queries.outcomes_of(session, id_))
    tries = (await queries.attempts_of(session, [id_]))[id_]
    return [(item, None if item.result in BY_MACHINE else next(noted, None)) for item in tries]


async def _find(session: AsyncSession, id_: UUID) -> Call:
    call = await queries.call(session, id_)
    if call is None:
        raise NotFound
    return call


def _offered(call: Call) -> tuple[str, ...]:
    """What can come of it; whom no route reached may still be told in another way."""
    return ("told",) if call.delivery.status == "failed" else outcomes.outcomes_for(call.delivery.route)


def _local(call: Call, moment: datetime) -> datetime:
    """Wall time where the session is."""
    return moment.astimezone(zone(call.facts.cause.session.timezone))


def _initials(form: Form, field: str) -> str:
    return form.get(field, "").upper()


def _check_initials(form: Form, field: str) -> FormErrors:
    errors = FormErrors()
    if not 1 <= len(_initials(form, field)) <= _LONGEST_INITIALS:
        errors.add(field, _("Écrivez vos initiales : 1 à 8 lettres."))
    return errors


def _paragraphs(text: str) -> list[list[str]]:
    """Paragraphs as lists of lines."""
    return [block.splitlines() for block in text.strip().split("\n\n")]


def _private(page: HTMLResponse) -> HTMLResponse:
    """Names and numbers stay out of every cache."""
    page.headers["Cache-Control"] = "no-store"
    return page
