"""Venues: find one, know how to get in and whom to call, correct it, add one that is missing."""

import re
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response

from libs import vocabularies
from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.forms import FormErrors
from libs.web.i18n import LazyString, _, ngettext
from services.events import labels
from services.events import queries as lists
from services.events.catalogue import create_thing, patch_thing
from services.events.commands import required
from services.events.coordination import queries, reaching, thing_editing
from services.events.coordination.desk import Desk, choice_asked, desk_of, same_with, words_asked
from services.events.coordination.forms import Field, Option, Typed
from services.events.coordination.merging import Values
from services.events.coordination.rows import venue_name
from services.events.coordination.thing_editing import (
    Editing,
    Given,
    MustAsk,
    Options,
    Subject,
    or_none,
)
from services.events.coordination.words import ZONES
from services.events.models import Venue

router = APIRouter(prefix="/coordination/lieux", include_in_schema=False)

KINDS = {
    "library": _("Bibliothèque"),
    "organisation": _("Organisme"),
    "school": _("École ou centre de formation"),
    "municipal_hall": _("Salle municipale"),
    "network_office": _("Bureau d’un réseau"),
    "other": _("Autre"),
}
_MAYBE = ("street", "municipality", "postal_code", "phone", "email", "region")
_TOLD = frozenset({"name", "street", "municipality"})
"""What registered people are told of when it changes: where to go."""
_NUMBER = re.compile(r"-?\d{1,3}([.,]\d{1,12})?")


def _given(values: Values, errors: FormErrors) -> Given:
    point = {name: _degrees(values.get(name, ""), name, errors) for name in ("latitude", "longitude")}
    plain = {name: values.get(name, "") for name in ("name", "kind", "province", "timezone", "notes")}
    return (
        plain | or_none(values, _MAYBE) | point | {"accessibility": values.get("accessibility", "").split()}
    )


def _degrees(text: str, name: str, errors: FormErrors) -> float | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        errors.add(name, _("Donnez un nombre de degrés, comme 46,8632."))
        return None
    return float(text.replace(",", "."))


async def _options(desk: Desk, db: AsyncSession, values: Values) -> Options:
    provinces = {region.province: "" for region in vocabularies.regions()} | {"CA-QC": "Québec"}
    for region in vocabularies.regions():
        if region.code == region.province:
            provinces[region.province] = region.name(desk.language)
    return {
        "kind": _with_current(list(KINDS.items()), [values.get("kind", "")]),
        "province": [(code, name or "Québec") for code, name in provinces.items() if code.startswith("CA-")],
        "region": [("", _("Région inconnue")), *vocabularies.region_choices(desk.language)],
        "timezone": _with_current(list(ZONES.items()), [values.get("timezone", "")]),
        "accessibility": _with_current(_access(), values.get("accessibility", "").split()),
    }


def _access() -> list[Option]:
    """`lift` and `elevator` say the same: one of them is enough to choose from."""
    return [(id_, text) for id_, text in labels.ACCESS.items() if id_ != "lift"]


def _with_current(options: list[Option], current: list[str]) -> list[Option]:
    known = {value for value, _text in options}
    every = {**labels.ACCESS, **KINDS}
    return options + [(value, every.get(value, value)) for value in current if value and value not in known]


EDITING = Editing(
    spec={
        "name": Field(_("Nom")),
        "kind": Field(_("Sorte de lieu")),
        "street": Field(_("Rue et numéro")),
        "municipality": Field(_("Municipalité")),
        "province": Field(_("Province ou territoire")),
        "postal_code": Field(_("Code postal")),
        "region": Field(_("Région")),
        "timezone": Field(_("Fuseau horaire")),
        "phone": Field(_("Téléphone")),
        "email": Field(_("Courriel")),
        "latitude": Field(_("Latitude")),
        "longitude": Field(_("Longitude")),
        "accessibility": Field(_("Accès et matériel"), many=True),
        "notes": Field(_("Notes pour l’équipe")),
    },
    template="venue_form.html",
    given=_given,
    options=_options,
    groups={"latitude": ("latitude", "longitude"), "longitude": ("latitude", "longitude")},
)


def values_of(venue: Venue) -> dict[str, str]:
    values = {
        name: getattr(venue, name) or ""
        for name in ("name", "kind", "province", "timezone", "notes", *_MAYBE)
    }
    return values | {
        "latitude": "" if venue.latitude is None else f"{venue.latitude:.6f}".rstrip("0").rstrip("."),
        "longitude": "" if venue.longitude is None else f"{venue.longitude:.6f}".rstrip("0").rstrip("."),
        "accessibility": " ".join(venue.accessibility),
    }


@router.get("")
async def table(request: Request, db: Reading, staff: Staff) -> Response:
    desk = await desk_of(request, db)
    q = words_asked(request, "q")
    region = choice_asked(request, "region", {item.code for item in vocabularies.regions()})
    conditions = [col(Venue.region) == region] if region else []
    after = request.query_params.get("cursor") or None
    found = await lists.things_page(db, Venue, q=q, conditions=conditions, after=after, limit=queries.PAGE)
    return desk.page(
        "venues.html",
        venues=[
            (venue, [labels.label(labels.ACCESS, id_) for id_ in venue.accessibility])
            for venue in found.items
        ],
        filters={"q": q, "region": region},
        regions=dict(vocabularies.region_choices(desk.language)),
        options={"region": [("", _("Toutes les régions")), *vocabularies.region_choices(desk.language)]},
        next_url=same_with(request, cursor=found.next) if found.next else "",
        first_url=same_with(request, cursor=None) if after else "",
    )


@router.get("/nouveau")
async def new(request: Request, db: Reading, staff: Staff) -> Response:
    values = {
        "name": words_asked(request, "name"),
        "kind": "library",
        "province": "CA-QC",
        "timezone": "America/Toronto",
    }
    return await thing_editing.new_page(await desk_of(request, db), db, EDITING, values, ahead=[])


@router.post("/nouveau")
async def create(request: Request, db: Transaction, staff: Staff) -> Response:
    async def make(given: Given) -> str:
        return f"/coordination/lieux/{(await create_thing(db, Venue, given)).id}/modifier"

    return await thing_editing.create(request, db, staff, EDITING, make, what="saved", ahead=[])


@router.get("/{venue_id}/modifier")
async def edit(request: Request, db: Reading, staff: Staff, venue_id: UUID) -> Response:
    desk = await desk_of(request, db)
    subject = await _subject(db, venue_id)
    ids = await queries.published_at_venue(db, venue_id, desk.now)
    rows = await queries.rows_of(db, ids, desk.home_zone, desk.language)
    return await thing_editing.edit_page(desk, db, EDITING, subject, ahead=rows)


@router.post("/{venue_id}/modifier")
async def save(request: Request, db: Transaction, staff: Staff, venue_id: UUID) -> Response:
    """People registered here are told of another name or address; so that is asked first."""
    desk = await desk_of(request, db)
    ids = await queries.published_at_venue(db, venue_id, desk.now)
    rows = await queries.rows_of(db, ids, desk.home_zone, desk.language)
    reach = reaching.together(row.reach for row in rows)

    async def change(given: Given, typed: Typed) -> tuple[str, int | None]:
        await patch_thing(db, desk.instance, Venue, venue_id, given, expected=typed.version)
        if not (_TOLD & typed.changed and rows):
            return "saved", None
        if not typed.confirmed:
            raise MustAsk(sentences=[_sessions_here(len(rows)), reaching.told(reach)])
        return "venue", reaching.people(reach)

    subject = await _subject(db, venue_id)
    return await thing_editing.save(request, db, EDITING, subject, change, ahead=rows)


def _sessions_here(count: int) -> LazyString:
    return ngettext(
        "%(count)s séance à venir a lieu ici : son adresse change au calendrier.",
        "%(count)s séances à venir ont lieu ici : leur adresse change au calendrier.",
        count,
    )


async def _subject(db: AsyncSession, venue_id: UUID) -> Subject:
    venue = await required(db, Venue, venue_id)

    async def current() -> tuple[dict[str, str], int]:
        read = await db.get_one(Venue, venue_id, populate_existing=True)
        return values_of(read), read.version

    address = f"/coordination/lieux/{venue_id}/modifier"
    return Subject(venue_name(venue), address, address, current)
