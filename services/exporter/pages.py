"""The team's pages of sharing: what leaves the region, how much of it, who decided so, the very messages."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from libs.clock import zone
from libs.messaging.bus import Message
from libs.messaging.federated import LEVELS
from libs.messaging.signing import signed_by, verify
from libs.messaging.topics import FEDERATED, federated
from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import _
from libs.web.problems import NotFound
from libs.web.templating import render
from services.exporter import commands, labels, queries
from services.exporter.api import LONGEST_REASON, voice_of
from services.exporter.commands import Decision
from services.exporter.queries import Sent, Shared
from services.exporter.saying import Voice
from services.exporter.sharing import lets_out

router = APIRouter(prefix="/partage", include_in_schema=False)

_LONGEST_INITIALS = 8
_ZONE = "America/Toronto"


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message as it left, for reading. `believed`: whether today's key has signed it."""

    topic: str
    key: str
    taken_back: bool
    at: datetime
    key_id: str
    believed: bool
    headers: str
    content: str


@router.get("")
async def overview(request: Request, reading: Reading, staff: Staff) -> HTMLResponse:
    """What leaves and what never does, the level of each volet, the key, and who decided what."""
    voice = voice_of(request)
    return _private(
        render(
            request,
            "partage/overview.html",
            shared=await queries.shared(reading),
            changes=[(item, _local(item.decided_at)) for item in await queries.changes(reading)],
            labels=labels,
            local=_local,
            instance=voice.instance,
            key_id=voice.signer.key_id,
            public_key=base64.b64encode(voice.signer.public_key).decode(),
        )
    )


@router.get("/messages")
async def messages(request: Request, reading: Reading, staff: Staff) -> HTMLResponse:
    """« Voir exactement ce qui part » : the newest messages of each stream."""
    voice = voice_of(request)
    shown = {
        stream: [_shown(voice, item) for item in await queries.last_sent(reading, stream)]
        for stream in FEDERATED
    }
    return _private(render(request, "partage/messages.html", shown=shown, labels=labels))


@router.get("/{volet}")
async def choose(request: Request, reading: Reading, staff: Staff, volet: str) -> HTMLResponse:
    """The form of one volet."""
    now = await _find(reading, volet)
    return _form_page(request, now, Form([("level", now.level)]), FormErrors())


@router.post("/{volet}")
async def change(request: Request, tx: Transaction, staff: Staff, volet: str) -> Response:
    """First what will happen; then, once confirmed, let it hold."""
    form, now = await read_form(request), await _find(tx, volet)
    errors = _errors(form, now)
    if errors:
        return _form_page(request, now, form, errors)
    if form.get("confirmed") != "1":
        return await _confirm_page(request, tx, now, form)
    decision = Decision(volet, form["level"], form["reason"], form["initials"].upper(), form.get("seen"))
    await commands.decide(tx, service_of(request).settings, voice_of(request), decision)
    return RedirectResponse("/partage", 303)


def _form_page(request: Request, now: Shared, form: Form, errors: FormErrors) -> HTMLResponse:
    return _private(
        render(
            request,
            "partage/volet.html",
            422 if errors else 200,
            now=now,
            labels=labels,
            choices=labels.level_choices(),
            form=form,
            errors=errors,
        )
    )


async def _confirm_page(request: Request, session: AsyncSession, now: Shared, form: Form) -> HTMLResponse:
    after = form["level"]
    still = [needed for needed in LEVELS[1:] if lets_out(after, needed)]
    taken_back = await queries.would_be_taken_back(session, now.volet, still)
    return _private(
        render(
            request,
            "partage/confirm.html",
            now=now,
            after=after,
            labels=labels,
            sentences=labels.consequences(now.level, after, taken_back),
            fields={
                "level": after,
                "reason": form["reason"],
                "initials": form["initials"].upper(),
                "seen": now.level,
                "confirmed": "1",
            },
        )
    )


async def _find(session: AsyncSession, volet: str) -> Shared:
    for now in await queries.shared(session):
        if now.volet == volet:
            return now
    raise NotFound


def _errors(form: Form, now: Shared) -> FormErrors:
    errors = FormErrors()
    level: str = form.get("level", "")
    if level not in LEVELS:
        errors.add("level", _("Choisissez ce que votre région partage."))
    elif level == now.level and form.get("confirmed") != "1":
        errors.add(
            "level", _("C’est déjà le niveau d’aujourd’hui. Choisissez-en un autre, ou ne changez rien.")
        )
    reason = form.get("reason", "")
    if not reason:
        errors.add("reason", _("Dites pourquoi, en une phrase : l’équipe le lira plus tard."))
    if len(reason) > LONGEST_REASON:
        errors.add("reason", _("Écrivez au plus %(count)s caractères.", count=LONGEST_REASON))
    if not 1 <= len(form.get("initials", "")) <= _LONGEST_INITIALS:
        errors.add("initials", _("Écrivez vos initiales : 1 à 8 lettres."))
    return errors


def _shown(voice: Voice, sent: Sent) -> ShownMessage:
    topic = federated(voice.instance)[sent.stream]
    message = Message(topic, sent.key, sent.payload, sent.key, sent.headers)
    return ShownMessage(
        topic=topic.name,
        key=sent.key,
        taken_back=sent.payload is None,
        at=_local(datetime.fromisoformat(sent.headers["ce_time"])),
        key_id=signed_by(message) or "",
        believed=verify(message, voice.signer.public_key),
        headers="\n".join(f"{name}: {value}" for name, value in sorted(sent.headers.items())),
        content="" if sent.payload is None else _pretty(sent.payload),
    )


def _pretty(payload: bytes) -> str:
    return json.dumps(json.loads(payload), ensure_ascii=False, indent=2)


def _local(moment: datetime) -> datetime:
    """Wall time of most of the country's teams; the page says which."""
    return moment.astimezone(zone(_ZONE))


def _private(page: HTMLResponse) -> HTMLResponse:
    """A team's decisions stay out of every cache."""
    page.headers["Cache-Control"] = "no-store"
    return page
