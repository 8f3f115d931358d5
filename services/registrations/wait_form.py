"""The form of a wait for many sessions: what its fields ask, and what it begins with."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from starlette.datastructures import QueryParams

from libs import vocabularies
from libs.web.forms import Form, FormErrors
from libs.web.i18n import LazyString, _
from services.registrations.nearby import Spot
from services.registrations.person_form import NEEDS, ROUTES, read_answers, read_person, validated
from services.registrations.wait_inputs import WaitRequest

FORM = UUID(int=0x3A17)
"""What the form's signed id is bound to, where a registration's is bound to its session."""
USUAL = timedelta(days=92)
"""So long somebody waits who doesn't say otherwise."""
DISTANCES = (10, 25, 50, 100)
"""In kilometres."""

_ORDER = (
    "channel", "theme", "where", "regions", "near", "km", "online", "first_day", "last_day", "spoken", "name",
    "organisation", "role", "route", *ROUTES, "language", "accommodations", "accommodation_consent",
)  # fmt: skip


def beginning(asked: QueryParams, today: date, language: str) -> Form:
    """The fields as they stand at first: what the page before knows is filled in."""
    where = "regions" if asked.get("region") else "near" if asked.get("pres") else ""
    return Form(
        [
            ("theme", asked.get("sujet", "")),
            ("stream", "pro" if asked.get("volet") == "pro" else "public"),
            ("where", where),
            ("regions", asked.get("region", "")),
            ("near", asked.get("pres", "")),
            ("km", asked.get("km", "25")),
            ("spoken", ""),
            ("first_day", _day(asked.get("du", ""), today).isoformat()),
            ("last_day", _day(asked.get("au", ""), today + USUAL).isoformat()),
            ("language", language),
        ]
    )


def choices(language: str, regions: Sequence[str]) -> Mapping[str, Any]:
    """What can be chosen, in words; `regions`: where there are sessions, all of them if nowhere."""
    named = [code for code in regions if vocabularies.region(code)]
    return {
        "themes": [("", _("Choisissez un sujet")), *vocabularies.choices("themes", language)],
        "regions": [(code, vocabularies.region_name(code, language)) for code in named]
        or vocabularies.region_choices(language),
        "distances": [(str(km), _("%(km)s km", km=km)) for km in DISTANCES],
        "spoken": [("", _("Peu importe")), ("fr", _("En français")), ("en", _("En anglais"))],
    }


def read_wait(
    form: Form, spot: Spot | None, *, channel: str, language: str, one_route: bool
) -> tuple[WaitRequest | None, FormErrors]:
    """What the form asks, or what is to correct. `spot`: where the place that was typed is."""
    errors, pro = FormErrors(), form.get("stream") == "pro"
    body = read_person(form, errors, channel=channel, language=language, pro=pro, one_route=one_route)
    body |= {
        "theme": form.get("theme", ""),
        "stream": "pro" if pro else "public",
        "online": form.get("online") == "1",
        "session_language": form.get("spoken") or None,
        "first_day": form.get("first_day", ""),
        "last_day": form.get("last_day", ""),
    }
    body |= _where(form, spot, errors)
    body |= read_answers(form, errors, NEEDS)
    request = validated(WaitRequest, body, errors, ids={"around/km": "km"}, said=_DAYS)
    return request, in_order(errors)


def in_order(errors: FormErrors) -> FormErrors:
    """The mistakes in the order of the page."""
    return errors.in_order(_ORDER)


def _where(form: Form, spot: Spot | None, errors: FormErrors) -> dict[str, Any]:
    match form.get("where"):
        case "regions":
            regions = [code for code in form.all("regions") if code]
            if not regions:
                errors.add("regions", _("Choisissez au moins une région."))
            return {"regions": regions}
        case "near":
            km = form.get("km", "")
            if spot is None:
                errors.add(
                    "near", _NOT_FOUND if form.get("near") else _("Écrivez une ville ou un code postal.")
                )
                return {}
            near = {"latitude": spot.latitude, "longitude": spot.longitude, "km": km, "place": spot.label}
            return {"around": near}
        case "anywhere":
            return {}
    errors.add("where", _("Dites où vous pourriez aller."))
    return {}


def _day(text: str, otherwise: date) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return otherwise


_NOT_FOUND = _("Nous ne trouvons pas ce lieu. Essayez une ville ou un code postal.")
_DAYS: Mapping[str, LazyString] = {
    "first_day": _("Choisissez le premier jour."),
    "last_day": _("Choisissez le dernier jour."),
}
