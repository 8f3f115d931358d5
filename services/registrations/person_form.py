"""Who somebody is, as the forms of a registration and of a wait both ask it: read, and what is to correct."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from libs import vocabularies
from libs.web.forms import Form, FormErrors
from libs.web.i18n import LazyString, _
from services.registrations.inputs import PersonRequest

ROUTES = ("email", "mobile", "phone", "postal")

Asked = TypeVar("Asked", bound=PersonRequest)

_IDS = {"contact": "route", **{f"contact/{route}": route for route in ROUTES}}
"""Where on the page the path of an input model stands."""
_EMPTY_ROUTE: Mapping[str, LazyString] = {
    "email": _("Écrivez votre courriel, ou choisissez une autre façon de vous joindre."),
    "mobile": _("Écrivez votre numéro de cellulaire, ou choisissez une autre façon de vous joindre."),
    "phone": _("Écrivez votre numéro de téléphone, ou choisissez une autre façon de vous joindre."),
    "postal": _("Écrivez votre adresse, ou choisissez une autre façon de vous joindre."),
}


class Answers(NamedTuple):
    """Answers about oneself, the tick that lets us keep them, and what to say where it is missing."""

    name: vocabularies.Vocabulary
    tick: str
    purpose: str
    question: LazyString


NEEDS = Answers(
    "accommodations",
    "accommodation_consent",
    "accommodation_data",
    _("Dites si nous pouvons garder les besoins choisis, ou retirez-les."),
)


def read_person(
    form: Form, errors: FormErrors, *, channel: str, language: str, pro: bool, one_route: bool
) -> dict[str, Any]:
    """The fields of a `PersonRequest` but for the answers about oneself; what is to correct is added.

    `one_route`: only the field of the chosen route counts, whatever else was typed; the team's form takes
    every field.
    """
    return {
        "channel": channel,
        "name": form.get("name", ""),
        "language": form.get("language") or language,
        "organisation": form.get("organisation") or None if pro else None,
        "role": form.get("role") or None if pro else None,
        "contact": _one_contact(form, errors) if one_route else {r: form.get(r) for r in ROUTES},
        "another_person": form.get("another_person") == "1",
    }


def read_answers(form: Form, errors: FormErrors, *asked: Answers) -> dict[str, Any]:
    """Answers about oneself with the consents to them: without its consent none is taken, nor one alone."""
    body: dict[str, Any] = {}
    consents = []
    for one in asked:
        known = vocabularies.ids(one.name)
        chosen = tuple(dict.fromkeys(id_ for id_ in form.all(one.name) if id_ in known))
        if chosen and form.get(one.tick):
            consents.append(one.purpose)
        elif chosen:
            errors.add(one.tick, one.question)
            chosen = ()
        body[one.name] = chosen
    return {**body, "consents": consents}


def validated(
    model: type[Asked],
    body: Mapping[str, Any],
    errors: FormErrors,
    *,
    ids: Mapping[str, str] | None = None,
    said: Mapping[str, LazyString] | None = None,
) -> Asked | None:
    """The request, or None if there is something to correct; what the model finds is added to `errors`.

    `ids`: where on the page its paths stand, if elsewhere than their first part says; `said`: what to say
    of a field instead of the model's own words.
    """
    request = None
    try:
        request = model.model_validate(body)
    except ValidationError as error:
        for path, message in FormErrors.from_validation(error).items():
            name = (_IDS | dict(ids or {})).get(path, path.partition("/")[0])
            # What the chosen way of being reached lacks is said already, and better.
            if name != "route" or not errors.keys() & {"route", *ROUTES}:
                errors.add(name, (said or {}).get(name, message))
    return None if errors else request


def _one_contact(form: Form, errors: FormErrors) -> dict[str, str | None]:
    """The way to be reached that was chosen; what it lacks is added to `errors`."""
    typed = [route for route in ROUTES if form.get(route)]
    route = form.get("route") or (typed[0] if len(typed) == 1 else "")
    if route not in ROUTES:
        errors.add("route", _("Choisissez comment vous joindre."))
        return {}
    if not form.get(route):
        errors.add(route, _EMPTY_ROUTE[route])
    return {route: form.get(route)}
