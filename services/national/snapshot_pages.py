"""The pages of the figures once reported: every version of every month, its reason, and what it changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
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
from services.national import labels, snapshots
from services.national.api_indicators import find
from services.national.asking import HOME
from services.national.indicators.answering import Row
from services.national.indicators.asking import Question
from services.national.indicators.definitions import INDICATORS
from services.national.indicators.measures import Count
from services.national.indicators.spelling import NOTHING, Spelt, spelt
from services.national.rounding import Counted
from services.national.snapshots import Change

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Changed:
    """A figure before and after a correction, in words."""

    name: LazyString
    measure: LazyString | None
    of: LazyString | str
    before: Spelt
    after: Spelt


@router.get("/national/instantanes")
async def every(request: Request, reading: Reading, staff: NationalStaff) -> HTMLResponse:
    """All of them, the newest first."""
    return render(request, "national/snapshots.html", found=await snapshots.every(reading), **_words(request))


@router.get("/national/instantanes/{month}/{version}")
async def one(
    request: Request, reading: Reading, staff: NationalStaff, month: str, version: int
) -> HTMLResponse:
    """One version: its totals, whether it is intact, and what it changed."""
    first = _month(month)
    kept = await snapshots.newest(reading, first, version) if 0 < version < 2**31 else None
    if kept is None:
        raise NotFound
    language = language_of(request)
    found = await find(request, reading, Question(snapshot=first, version=version))
    changed = await snapshots.changes(reading, first, version) if version > 1 else []
    return render(
        request,
        "national/snapshot.html",
        kept=kept,
        intact=await snapshots.is_intact(reading, kept),
        rows=[
            (row.indicator, row.measure, spelt(row, language))
            for row in found.rows
            if row.indicator.id != "I24"
        ],
        missing=found.missing,
        changed=[said for change in changed if (said := _said(change, language))],
        **_words(request),
    )


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise NotFound from None


def _said(change: Change, language: str) -> Changed | None:
    """None for an indicator or a measure that nobody here knows any more."""
    indicator = INDICATORS.get(change.indicator)
    measures = indicator.measures if indicator else ()
    measure = next((m for m in measures if m.id == change.measure and _has(m.counts, change)), None)
    if indicator is None or measure is None:
        return None

    def figure(counts: Mapping[str, int] | None) -> Spelt:
        if counts is None:
            return Spelt(NOTHING)
        known = {name: Counted(n) for name, n in counts.items()}
        return spelt(Row(indicator, measure, {}, known), language)

    of: LazyString | str = _("Tout le pays")
    if "region" in change.cell:
        of = labels.region(change.cell["region"] or "", language)
    elif "instance" in change.cell:
        of = change.cell["instance"] or ""
    return Changed(indicator.name, measure.name, of, figure(change.before), figure(change.after))


def _has(counts: tuple[Count, ...], change: Change) -> bool:
    return {count.name for count in counts} == set(change.after or change.before or {})


def _words(request: Request) -> dict[str, Any]:
    language = language_of(request)
    return {
        "local": lambda moment: moment.astimezone(zone(HOME)),
        "month_of": lambda month: formats.capital_first(formats.month(month, language)),
        "number": partial(formats.number, language=language),
    }
