"""The registration form: its signed id, and what its fields ask once they are read."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from libs.messaging.contracts import SessionState
from libs.web.forms import Form, FormErrors
from libs.web.i18n import LazyString, _
from libs.web.problems import Malformed
from libs.web.tokens import BadToken, sign, verify
from services.registrations import pools
from services.registrations.first_time import PURPOSE as FIRST_TIME
from services.registrations.inputs import RegistrationRequest, professional_details
from services.registrations.person_form import NEEDS, ROUTES, Answers, read_answers, read_person, validated

_ORDER = (
    "channel", "name", "party_size", "seat_kind", "organisation", "role", "route", *ROUTES, "language",
    "accommodations", "accommodation_consent", "target_groups", "statistics_consent",
)  # fmt: skip

_PROFILE = Answers(
    "target_groups",
    "statistics_consent",
    "statistics_profile",
    _("Dites si nous pouvons compter les réponses choisies, ou retirez-les."),
)


OLD_FORM = _("Cette page était ouverte depuis longtemps. Vérifiez vos réponses, puis envoyez-les de nouveau.")
OLD_FORM_OF_TEAM = _(
    "Cette page était ouverte depuis longtemps. Vérifiez les réponses, puis envoyez-les de nouveau."
)


@dataclass(slots=True)
class SignupForm:
    """The form as it is shown, of a wait too: `id` is signed, `values` are as somebody typed them."""

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

    def renew(self, id_: str, why: LazyString) -> None:
        """It has no id that was made here: it gets one, and is to be sent once more."""
        self.id, self.errors = id_, FormErrors({"": why} | self.errors)

    def correct(self, problem: Malformed) -> None:
        """What is to correct, as it was found once the form had been read."""
        for item in problem.errors:
            self.errors.add(item.field, item.message)


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

    `one_route` as `person_form.read_person` takes it.
    """
    errors, pro = FormErrors(), facts.stream == "pro"
    body = read_person(form, errors, channel=channel, language=language, pro=pro, one_route=one_route)
    body["seat_kind"] = form.get("seat_kind") or None
    if len(pools.seat_kinds(facts.modality)) > 1 and not body["seat_kind"]:
        errors.add("seat_kind", _("Choisissez sur place ou en ligne."))
    body |= read_answers(form, errors, NEEDS, _PROFILE)
    if form.get("first_time"):
        body["consents"].append(FIRST_TIME)
    _party(form, facts, body, errors)
    if pro:
        for item in professional_details(body["organisation"], body["role"]):
            errors.add(item.field, item.message)
    request = validated(RegistrationRequest, body, errors)
    return request, errors.in_order(_ORDER)


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
