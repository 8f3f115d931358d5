"""What people may say of themselves and ask: validated and normalised before anything else sees it."""

import hashlib
import re
import unicodedata
from typing import Annotated, Literal, Protocol, Self

import orjson
import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from libs.web.i18n import LazyString, _
from libs.web.validation import FieldError
from services.registrations.gathering import LARGEST_PARTY

Channel = Literal["web", "phone", "email", "desk", "partner", "paper"]
SeatKind = Literal["on_site", "online"]

_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\\\]]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_POSTE = re.compile(r"\bposte\b\.?\s*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class NotTaken(ValueError):
    """What a validator can't take, in words for the person."""

    def __init__(self, message: LazyString) -> None:
        super().__init__(message)


def _one_line(value: str) -> str:
    return " ".join(_CONTROL.sub(" ", unicodedata.normalize("NFC", value)).split())


def read_name(value: str) -> str:
    """A name on one line, never empty."""
    value = _one_line(value)
    if not value:
        raise NotTaken(_("Écrivez votre nom."))
    return value


def _email(value: str | None) -> str | None:
    value = _one_line(value or "")
    if not value:
        return None
    if len(value) > 254 or not _EMAIL.fullmatch(value):
        raise NotTaken(_("Écrivez une adresse comme aline@exemple.ca."))
    return value


def _phone(value: str | None) -> str | None:
    """E.164, a Canadian number when no country is given; vanity letters become digits."""
    value = _one_line(value or "")
    if not value:
        return None
    try:
        # The library knows « ext. » alone; here people say « poste ».
        number = phonenumbers.parse(_POSTE.sub("ext. ", value), "CA")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise NotTaken(_("Écrivez un numéro de téléphone comme 418 555-0142."))
    text: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return text + (f";ext={number.extension}" if number.extension else "")


def _reason(value: str) -> str:
    value = _one_line(value)
    if not value:
        raise NotTaken(_("Écrivez pourquoi, en quelques mots."))
    return value


def _lines(value: str | None) -> str | None:
    lines = [_one_line(line) for line in (value or "").splitlines()]
    return "\n".join(line for line in lines if line) or None


def read_optional_line(value: str | None) -> str | None:
    """A text on one line; None if nothing is left of it."""
    return _one_line(value or "") or None


Name = Annotated[str, Field(max_length=200), AfterValidator(read_name)]
"""What somebody is called."""
Reason = Annotated[str, Field(max_length=500), AfterValidator(_reason)]
"""Why staff did something out of the usual order."""


class Reached(Protocol):
    """Whoever has ways to be reached."""

    @property
    def email(self) -> str | None: ...
    @property
    def mobile(self) -> str | None: ...
    @property
    def phone(self) -> str | None: ...
    @property
    def postal(self) -> str | None: ...


def ways_of(person: Reached) -> dict[str, str]:
    """The ways to reach somebody that were given, as two people's are compared."""
    given = {
        "email": person.email and person.email.lower(),
        "mobile": person.mobile,
        "phone": person.phone,
        "postal": person.postal,
    }
    return {way: value for way, value in given.items() if value}


class Contact(BaseModel):
    """The ways to reach a person; one is enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: Annotated[str | None, Field(max_length=300), AfterValidator(_email)] = None
    mobile: Annotated[str | None, Field(max_length=60), AfterValidator(_phone)] = None
    phone: Annotated[str | None, Field(max_length=60), AfterValidator(_phone)] = None
    postal: Annotated[str | None, Field(max_length=500), AfterValidator(_lines)] = None

    @model_validator(mode="after")
    def _one_way_at_least(self) -> Self:
        if not (self.email or self.mobile or self.phone or self.postal):
            raise NotTaken(_("Dites-nous comment vous joindre : une seule façon suffit."))
        return self

    @property
    def ways(self) -> dict[str, str]:
        return ways_of(self)


class PersonRequest(BaseModel):
    """Who asks, and how they are reached. Only the channel, a name and one contact are required."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: Channel
    name: Name
    language: Literal["fr", "en"] = "fr"
    """That of our messages."""
    contact: Contact
    organisation: Annotated[str | None, Field(max_length=200), AfterValidator(read_optional_line)] = None
    role: Literal["staff", "volunteer"] | None = None
    accommodations: Annotated[tuple[Annotated[str, Field(max_length=40)], ...], Field(max_length=20)] = ()
    consents: Annotated[tuple[Annotated[str, Field(max_length=40)], ...], Field(max_length=20)] = ()
    another_person: bool = False

    @model_validator(mode="after")
    def _needs_with_consent(self) -> Self:
        if self.accommodations and "accommodation_data" not in self.consents:
            raise NotTaken(_("Pour préparer l’atelier, il faut votre accord sur vos besoins."))
        return self

    @property
    def name_key(self) -> str:
        return name_key(self.name)


class RegistrationRequest(PersonRequest):
    """What somebody asks of one session, by any channel."""

    party_size: Annotated[int, Field(ge=1, le=LARGEST_PARTY)] = 1
    """How many people come, the one who registers among them."""
    support_companion: bool = False
    """One of them comes to support another; some sessions count no seat for that."""
    seat_kind: SeatKind | None = None
    target_groups: Annotated[tuple[Annotated[str, Field(max_length=40)], ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.support_companion and self.party_size == 1:
            raise NotTaken(_("Comptez aussi la personne qui vous accompagne."))
        if self.target_groups and "statistics_profile" not in self.consents:
            raise NotTaken(_("Pour garder ces réponses, il faut votre accord pour les statistiques."))
        return self

    @property
    def content_hash(self) -> bytes:
        """Of everything asked, but for the answer to « est-ce une autre personne ? »."""
        contact = self.contact
        content = (
            self.channel, self.name, self.party_size, self.language, self.seat_kind,
            contact.email, contact.mobile, contact.phone, contact.postal, self.organisation, self.role,
            self.accommodations, self.target_groups, self.consents,
            *((True,) if self.support_companion else ()),
        )  # fmt: skip
        return hashlib.sha256(orjson.dumps(content)).digest()

    @property
    def body_hash(self) -> bytes:
        """Of all that was sent."""
        return hashlib.sha256(self.content_hash + bytes((self.another_person,))).digest()


def professional_details(organisation: str | None, role: str | None) -> list[FieldError]:
    """What a request for a session of the pro stream still has to say: for whom the person works, and how."""
    missing = []
    if not organisation:
        missing.append(FieldError("organisation", _("Écrivez le nom de votre bibliothèque ou organisme.")))
    if not role:
        missing.append(FieldError("role", _("Choisissez votre rôle : personnel ou bénévole.")))
    return missing


def name_key(name: str) -> str:
    """A name as people compare it: without case, accents, hyphens or doubled spaces."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    return " ".join(re.sub(r"[-'’.]", " ", bare).split())
