"""The registration form: its signed id, and what its fields ask once they are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError

from libs import vocabularies
from libs.messaging.contracts import SessionState
from libs.web.forms import Form, FormErrors
from libs.web.i18n import LazyString, _
from libs.web.tokens import BadToken, sign, verify
from libs.web.validation import FieldError
from services.registrations import pools
from services.registrations.first_time import PURPOSE as FIRST_TIME
from services.registrations.inputs import RegistrationRequest, professional_details

ROUTES = ("email", "mobile", "phone", "postal")

_IDS = {"contact": "route", **{f"contact/{route}": route for route in ROUTES}}
"""Where on the page the path of an input model stands."""

_ORDER = (
    "channel", "name", "party_size", "seat_kind", "organisation", "role", "route", *ROUTES, "language",
    "accommodations", "accommodation_consent", "target_groups", "statistics_consent",
)  # fmt: skip

_EMPTY_ROUTE: Mapping[str, LazyString] = {
    "email": _("Écrivez votre courriel, ou choisissez une autre façon de vous joindre."),
    "mobile": _("Écrivez votre numéro de cellulaire, ou choisissez une autre façon de vous joindre."),
    "phone": _("Écrivez votre numéro de téléphone, ou choisissez une autre façon de vous joindre."),
    "postal": _("Écrivez votre adresse, ou choisissez une autre façon de vous joindre."),
}
_KEEP_NEEDS = _("Dites si nous pouvons garder les besoins choisis, ou retirez-les.")
_COUNT_ANSWERS = _("Dites si nous pouvons compter les réponses choisies, ou retirez-les.")


@dataclass(slots=True)
class SignupForm:
    """The form as it is shown: `id` is signed, `values` are as somebody typed them."""

    id: str
    values: Form = field(default_factory=Form)
    errors: FormErrors = field(default_factory=FormErrors)

    def value(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    def all(self, name: str) -> list[str]:
        return self.values.all(name)

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """Everything typed, to be sent once more without being typed again."""
        kept = [pair for pair in self.values.pairs if pair[0] not in {"form_id", "another_person"}]
        return [("form_id", self.id), *kept]


def new_id(secret: str, session_id: UUID) -> str:
    """A fresh registration id for one form of one session, made before any transaction."""
    return sign(secret, _purpose(session_id), uuid4().bytes)


def registration_id_of(secret: str, session_id: UUID, form_id: str) -> UUID | None:
    """The id in a form, or None if it wasn't made here for this session."""
    try:
        body = verify(secret, _purpose(session_id), form_id)
    except BadToken:
        return None
    return UUID(bytes=body) if len(body) == 16 else None


def _purpose(session_id: UUID) -> str:
    return f"form:{session_id}"


def read_request(
    form: Form, facts: SessionState, *, channel: str, language: str, one_route: bool
) -> tuple[RegistrationRequest | None, FormErrors]:
    """What the form asks, or what is to correct, by the ids of its fields in the order of the page.

    `one_route`: only the field of the chosen route counts, whatever else was typed; the team's form takes
    every field. An answer about oneself without the consent for it is not taken: one of the two goes.
    """
    errors = FormErrors()
    body = _body(form, facts, channel, language)
    body["contact"] = one_contact(form, errors) if one_route else {r: form.get(r) for r in ROUTES}
    if len(pools.seat_kinds(facts.modality)) > 1 and not body["seat_kind"]:
        errors.add("seat_kind", _("Choisissez sur place ou en ligne."))
    _consents(form, body, errors)
    _party(form, facts, body, errors)
    if facts.stream == "pro":
        _add(errors, professional_details(body["organisation"], body["role"]))
    request = None
    try:
        request = RegistrationRequest.model_validate(body)
    except ValidationError as error:
        for name, message in FormErrors.from_validation(error).items():
            # What the chosen way of being reached lacks is said already, and better.
            if not (name == "contact" and errors.keys() & {"route", *ROUTES}):
                errors.add(_IDS.get(name, name.partition("/")[0]), message)
    return (None if errors else request), _in_order(errors)


def _body(form: Form, facts: SessionState, channel: str, language: str) -> dict[str, Any]:
    pro = facts.stream == "pro"
    return {
        "channel": channel,
        "name": form.get("name", ""),
        "language": form.get("language") or language,
        "seat_kind": form.get("seat_kind") or None,
        "organisation": form.get("organisation") or None if pro else None,
        "role": form.get("role") or None if pro else None,
        "accommodations": known_answers(form.all("accommodations"), "accommodations"),
        "target_groups": known_answers(form.all("target_groups"), "target_groups"),
        "another_person": form.get("another_person") == "1",
    }


def _party(form: Form, facts: SessionState, body: dict[str, Any], errors: FormErrors) -> None:
    """How many come, where the session takes parties; whoever comes alone has nobody with them."""
    limit = facts.party.limit
    if limit == 1:
        return
    typed = form.get("party_size") or "1"
    if not typed.isascii() or not typed.isdigit() or not 1 <= int(typed[:4]) <= limit:
        errors.add("party_size", _("Choisissez de 1 à %(limit)s personnes.", limit=limit))
        return
    with_companion = form.get("support_companion") == "1"
    if with_companion and typed == "1":
        errors.add("party_size", _("Comptez aussi la personne qui vous accompagne."))
        with_companion = False
    body["party_size"], body["support_companion"] = int(typed), with_companion


def one_contact(form: Form, errors: FormErrors) -> dict[str, str | None]:
    """The way to be reached that was chosen; what it lacks is added to `errors`."""
    typed = [route for route in ROUTES if form.get(route)]
    route = form.get("route") or (typed[0] if len(typed) == 1 else "")
    if route not in ROUTES:
        errors.add("route", _("Choisissez comment vous joindre."))
        return {}
    if not form.get(route):
        errors.add(route, _EMPTY_ROUTE[route])
    return {route: form.get(route)}


def _consents(form: Form, body: dict[str, Any], errors: FormErrors) -> None:
    """A consent is kept with the answers it is about, never by itself."""
    given = []
    for answers, tick, purpose, question in (
        ("accommodations", "accommodation_consent", "accommodation_data", _KEEP_NEEDS),
        ("target_groups", "statistics_consent", "statistics_profile", _COUNT_ANSWERS),
    ):
        if not body[answers]:
            continue
        if form.get(tick):
            given.append(purpose)
        else:
            errors.add(tick, question)
            body[answers] = ()
    if form.get("first_time"):
        given.append(FIRST_TIME)
    body["consents"] = given


def known_answers(chosen: Iterable[str], vocabulary: vocabularies.Vocabulary) -> tuple[str, ...]:
    """The answers that the vocabulary has, each once."""
    known = vocabularies.ids(vocabulary)
    return tuple(dict.fromkeys(id_ for id_ in chosen if id_ in known))


def _add(errors: FormErrors, found: Iterable[FieldError]) -> None:
    for item in found:
        errors.add(item.field, item.message)


def _in_order(errors: FormErrors) -> FormErrors:
    ordered = FormErrors()
    for name in (*_ORDER, *errors):
        if name in errors:
            ordered.add(name, errors[name])
    return ordered
