"""`/national/instances`: how each instance is heard, and how much of what it says is here and believed."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from libs.clock import zone
from libs.web import formats
from libs.web.app import Reading
from libs.web.auth import NationalStaff
from libs.web.i18n import LazyString, _, language_of
from libs.web.problems import NotFound
from libs.web.templating import render
from services.national import labels, queries
from services.national.asking import HOME
from services.national.freshness import VOLETS, Hearing, Standing
from services.national.instance_states import InstanceState, states
from services.national.pages_registry import done_by

router = APIRouter(include_in_schema=False)

_DECISIONS = 10
"""How many of the newest are shown."""
COLOURS = {Standing.LIVE: "free", Standing.OFFLINE: "full", Standing.SUSPENDED: "cancelled"}
KEY_STATES = {
    "valid": _("en vigueur"),
    "later": _("à venir"),
    "expired": _("échue"),
    "revoked": _("révoquée"),
}


@router.get("/national/instances")
async def instances(request: Request, reading: Reading, staff: NationalStaff) -> HTMLResponse:
    """All of them in one table."""
    found = await states(reading)
    return render(
        request,
        "national/instances.html",
        found=found,
        hearing=Hearing.at(found.now, (one.heard for one in found.instances)),
        **_words(request),
    )


@router.get("/national/instances/{slug}")
async def instance(request: Request, reading: Reading, staff: NationalStaff, slug: str) -> HTMLResponse:
    """One of them: its keys, what is missing, why messages of it are kept apart, and what was decided."""
    found = await states(reading)
    one = next((one for one in found.instances if one.heard.slug == slug), None)
    if one is None:
        raise NotFound
    words = _words(request)
    return render(
        request,
        "national/instance.html",
        one=one,
        heard_at=_here(one),
        now=found.now.astimezone(zone(HOME)),
        key_state=lambda key: KEY_STATES[key.state(found.now)],
        done=done_by(request.query_params),
        decisions=await queries.log(reading, slug, 0, _DECISIONS),
        decision=partial(labels.label, labels.DECISIONS),
        **words,
    )


def _words(request: Request) -> dict[str, Any]:
    language = language_of(request)
    return {
        "elapsed": partial(formats.elapsed, language=language),
        "number": partial(formats.number, language=language),
        "share": lambda value: formats.percent(int(value), language),
        "region": partial(labels.region, language=language),
        "standings": labels.STANDINGS,
        "colours": COLOURS,
        "streams": labels.STREAMS,
        "volets": VOLETS,
        "level": partial(_level, words=labels.LEVELS),
        "short_level": partial(_level, words=labels.SHORT_LEVELS),
        "reasons": labels.REASONS,
        "data_streams": labels.DATA_STREAMS,
        "local": lambda moment: moment.astimezone(zone(HOME)),
    }


def _level(one: InstanceState, volet: str, words: Mapping[str, LazyString]) -> LazyString | str:
    """What an instance shares of a volet: nothing is said as « non partagé », never as a zero."""
    shared = one.heard.shares.get(volet)
    if shared is None:
        return _("pas encore dit")
    return _("non partagé") if shared == "nothing" else labels.label(words, shared)


def _here(one: InstanceState) -> object:
    received = one.heard.received_at
    return received.astimezone(zone(HOME)) if received else None
