"""What coordinators and programs may send: strict models, one per thing, that refuse what they don't know."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from libs import vocabularies
from libs.clock import UnknownZone, zone
from libs.vocabularies import Vocabulary
from libs.web.i18n import LazyString, _
from libs.web.problems import Malformed
from libs.web.validation import FieldError, field_errors
from services.events.schedule import KINDS

MOST_SEATS = 10_000
MOST_RELEASES = 24
"""So many steps fit on the coordinators' form too."""


class Input(BaseModel):
    """Unknown fields are refused: a misspelt one would else be lost without a word."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Given = TypeVar("Given", bound=Input)


def read(model: type[Given], given: Mapping[str, Any]) -> Given:
    """`given` as `model`, or `Malformed` with every field to correct."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Malformed(errors=field_errors(error.errors(include_url=False, include_input=False))) from None


def refuse(field: str, message: LazyString) -> Malformed:
    """The problem of one field."""
    return Malformed(errors=[FieldError(field, message)])


def _no_control_characters(value: str) -> str:
    if any(ord(character) < 32 and character not in "\n\t" for character in value):
        raise ValueError(_("Ce texte contient un caractère qui ne peut pas être lu. Retapez-le."))
    return value


def _one_line(value: str) -> str:
    if "\n" in value:
        raise ValueError(_("Écrivez ce texte sur une seule ligne."))
    return value


def _text(longest: int, shortest: int = 0) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest)


Line = Annotated[str, _text(200, 1), AfterValidator(_no_control_characters), AfterValidator(_one_line)]
Paragraphs = Annotated[str, _text(5000), AfterValidator(_no_control_characters)]
Reason = Annotated[str, _text(500), AfterValidator(_no_control_characters)]


def _known(vocabulary: Vocabulary) -> Any:
    def check(value: str) -> str:
        if value not in vocabularies.ids(vocabulary):
            choices = ", ".join(term.id for term in vocabularies.terms(vocabulary))
            raise ValueError(_("Choisissez une des réponses proposées : %(expected)s.", expected=choices))
        return value

    return AfterValidator(check)


def _region(value: str) -> str:
    if vocabularies.region(value) is None:
        raise ValueError(_("Nous ne connaissons pas cette région. Donnez un code comme 03 ou CA-NB."))
    return value


def _zone(value: str) -> str:
    try:
        zone(value)
    except UnknownZone as error:
        raise ValueError(_("Ce fuseau horaire est inconnu. Donnez un nom comme America/Toronto.")) from error
    return value


def _link(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s]*", value):
        raise ValueError(_("Donnez une adresse Web complète, comme https://example.org."))
    return value


def _email(value: str) -> str:
    if not re.fullmatch(r"[^\s@]+@[^\s@]+\.[^\s@]+", value):
        raise ValueError(_("Donnez une adresse courriel complète, comme nom@exemple.ca."))
    return value


_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_FIRST_YEAR, _LAST_YEAR = 2000, 2100


def _local_time(value: object) -> object:
    """Text alone: a number would be read as a Unix time, which nobody means here."""
    if not isinstance(value, datetime) and not (isinstance(value, str) and _LOCAL.fullmatch(value.strip())):
        raise ValueError(_("Donnez une date et une heure, comme 2027-02-03T13:30."))
    return value.strip() if isinstance(value, str) else value


def _in_reach(value: datetime | date) -> Any:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(_("Donnez une année de %(first)s à %(last)s.", first=_FIRST_YEAR, last=_LAST_YEAR))
    return value


def _plain_date(value: object) -> object:
    is_text = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value.strip())
    if not is_text and (not isinstance(value, date) or isinstance(value, datetime)):
        raise ValueError(_("Donnez une date, comme 2027-02-03."))
    return value.strip() if isinstance(value, str) else value


Stream = Annotated[str, _known("streams")]
Theme = Annotated[str, _known("themes")]
Level = Annotated[str, _known("levels")]
Language = Annotated[str, _known("languages")]
Modality = Annotated[str, _known("modalities")]
Kind = Annotated[str, _known("activity_kinds")]
DeliveredBy = Annotated[str, _known("delivered_by")]
Channel = Annotated[str, _known("channels")]
Mode = Annotated[str, _known("registration_modes")]
Region = Annotated[str, AfterValidator(_region)]
Zone = Annotated[str, AfterValidator(_zone)]
Link = Annotated[str, _text(2000), AfterValidator(_no_control_characters), AfterValidator(_link)]
Email = Annotated[str, _text(254), AfterValidator(_no_control_characters), AfterValidator(_email)]
LocalTime = Annotated[datetime, BeforeValidator(_local_time), AfterValidator(_in_reach)]
"""Wall time, or with an offset: `2027-02-03T13:30`, `2026-11-01T01:30-04:00`."""
Day = Annotated[date, BeforeValidator(_plain_date), AfterValidator(_in_reach)]
Seats = Annotated[StrictInt, Field(ge=0, le=MOST_SEATS)]
SeatKind = Literal["on_site", "online"]


def _once_each(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


class Capacity(Input):
    on_site: Seats = 0
    online: Seats = 0


class ReleaseInput(Input):
    """`seat_kind` may be left out where the modality has one kind of seat."""

    at: LocalTime
    channel: Channel
    seats: Annotated[StrictInt, Field(ge=1, le=MOST_SEATS)]
    seat_kind: SeatKind | None = None


class DrawInput(Input):
    """Whoever asks before `closes_at` has the same chance; `first_time_lots` for who has had no seat yet."""

    closes_at: LocalTime
    first_time_lots: Annotated[StrictInt, Field(ge=1, le=3)] = 1


class WaitlistInput(Input):
    """`limit` None: anybody may wait. `offer_hours`: how long a freed seat is kept for one person.

    `draw` goes with the policy `draw`, and counts for no other.
    """

    policy: Literal["first_come", "draw"] = "first_come"
    draw: Annotated[DrawInput | None, Field(validate_default=True)] = None
    offer_hours: Annotated[float, Field(gt=0, le=24 * 30, allow_inf_nan=False)] = 24
    limit: Annotated[StrictInt, Field(ge=0, le=100_000)] | None = None

    @field_validator("draw")
    @classmethod
    def _draw_fits_policy(cls, value: DrawInput | None, info: ValidationInfo) -> DrawInput | None:
        if info.data.get("policy") != "draw":
            return None
        if value is None:
            raise ValueError(_("Dites quand le tirage au sort se ferme."))
        return value


class ReconfirmInput(Input):
    """From how many days before on people are asked whether they still come; None: nobody is.

    `silence` `free`: who was told twice and says nothing loses the seat on the last day.
    """

    days: Annotated[StrictInt, Field(ge=2, le=30)] | None = 7
    silence: Literal["keep", "free"] = "keep"


class PartyInput(Input):
    """How many may register together, 1 for nobody; how many hours seats gather for them, 0 for never.

    `companion_takes_seat`: whether somebody who comes to support a person is counted among the seats.
    """

    limit: Annotated[StrictInt, Field(ge=1, le=12)] = 1
    gather_hours: Annotated[float, Field(ge=0, le=24 * 30, allow_inf_nan=False)] = 24
    companion_takes_seat: bool = True


class SessionInput(Input):
    """A session as `POST` takes it; `PATCH` takes any of these fields.

    `timezone` defaults to the venue's. `capacity` may be a plain number and `held_seats` flat
    (`{"phone": 2}`) where the modality has one kind of seat; in a hybrid session both are by kind.
    """

    modality: Modality
    title: Line
    description: Paragraphs = ""
    bring: Paragraphs = ""
    stream: Stream
    kind: Kind = "workshop"
    theme: Theme | None = None
    level: Level | None = None
    language: Language = "fr"
    delivered_by: DeliveredBy | None = None
    audience: Line | None = None
    programme_id: UUID | None = None
    activity_id: UUID | None = None
    tour_id: UUID | None = None
    stop_id: UUID | None = None
    venue_id: Annotated[UUID | None, Field(validate_default=True)] = None
    region: Region | None = None
    online_url: Annotated[Link | None, Field(validate_default=True)] = None
    staff_notes: Paragraphs = ""
    starts_at: LocalTime
    ends_at: LocalTime
    timezone: Zone
    capacity: Capacity
    held_seats: dict[SeatKind, dict[Channel, Seats]] = {}
    releases: Annotated[list[ReleaseInput], Field(max_length=MOST_RELEASES)] = []
    opens_at: LocalTime | None = None
    closes_at: LocalTime | None = None
    waitlist: WaitlistInput = WaitlistInput()
    reconfirm: ReconfirmInput = ReconfirmInput()
    party: PartyInput = PartyInput()
    registration_modes: Annotated[list[Mode], Field(min_length=1), AfterValidator(_once_each)] = [
        "web",
        "phone",
        "desk",
    ]
    on_shrink: Literal["keep", "ask_volunteers"] = "keep"

    @field_validator("capacity", mode="before")
    @classmethod
    def _plain_number(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        return {_only_kind(info): value}

    @field_validator("held_seats", mode="before")
    @classmethod
    def _by_kind(cls, value: object, info: ValidationInfo) -> object:
        if (
            not isinstance(value, Mapping)
            or not value
            or all(isinstance(item, Mapping) for item in value.values())
        ):
            return value
        return {_only_kind(info): value}

    @field_validator("releases")
    @classmethod
    def _releases_have_a_kind(cls, value: list[ReleaseInput], info: ValidationInfo) -> list[ReleaseInput]:
        if all(release.seat_kind for release in value):
            return value
        kind = _only_kind(info)
        return [item if item.seat_kind else item.model_copy(update={"seat_kind": kind}) for item in value]

    @field_validator("venue_id")
    @classmethod
    def _venue_fits_modality(cls, value: UUID | None, info: ValidationInfo) -> UUID | None:
        modality = info.data.get("modality")
        if modality == "online" and value is not None:
            raise ValueError(_("Une séance en ligne n’a pas de lieu. Laissez ce champ vide."))
        if modality in {"on_site", "hybrid"} and value is None:
            raise ValueError(_("Choisissez le lieu de la séance."))
        return value

    @field_validator("online_url")
    @classmethod
    def _link_fits_modality(cls, value: str | None, info: ValidationInfo) -> str | None:
        modality = info.data.get("modality")
        if modality == "on_site" and value is not None:
            raise ValueError(_("Une séance sur place n’a pas de lien. Laissez ce champ vide."))
        if modality in {"online", "hybrid"} and value is None:
            raise ValueError(_("Donnez le lien de la visioconférence."))
        return value


def _only_kind(info: ValidationInfo) -> str:
    """The seat kind of a modality that has one; a hybrid session must say which."""
    kinds = KINDS.get(info.data.get("modality", ""), ("on_site",))
    if len(kinds) > 1:
        raise ValueError(_("Dites pour chaque sorte de place : on_site et online."))
    return kinds[0]


class RescheduleInput(Input):
    """New times; without `timezone`, in the session's zone. `venue_id` also moves it elsewhere.

    `leave_stop`: it may stand on other days than its stop, which it then no longer belongs to.
    """

    starts_at: LocalTime
    ends_at: LocalTime
    timezone: Zone | None = None
    venue_id: UUID | None = None
    leave_stop: bool = False
    reason: Reason | None = None


class ReasonInput(Input):
    reason: Reason | None = None


class ProgrammeInput(Input):
    name: Line
    first_date: Day | None = None
    last_date: Day | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        return _dates_in_order(self, self.first_date, self.last_date)


class ActivityInput(Input):
    title: Line
    description: Paragraphs = ""
    bring: Paragraphs = ""
    programme_id: UUID | None = None
    kind: Kind = "workshop"
    stream: Stream = "public"
    theme: Theme | None = None
    level: Level | None = None
    language: Language = "fr"
    delivered_by: DeliveredBy | None = None
    audience: Line | None = None
    duration_minutes: Annotated[StrictInt, Field(ge=5, le=24 * 60)] = 120
    capacity: Annotated[StrictInt, Field(ge=1, le=MOST_SEATS)] = 12


def _province(value: str) -> str:
    if value != "CA-QC" and value not in {region.province for region in vocabularies.regions()}:
        raise ValueError(_("Donnez une province ou un territoire, comme CA-QC ou CA-NB."))
    return value


class VenueInput(Input):
    name: Line
    kind: Line = "library"
    street: Line | None = None
    municipality: Line | None = None
    province: Annotated[str, AfterValidator(_province)] = "CA-QC"
    postal_code: Annotated[str, _text(10), AfterValidator(_no_control_characters)] | None = None
    phone: Line | None = None
    email: Email | None = None
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = None
    timezone: Zone = "America/Toronto"
    region: Region | None = None
    accessibility: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,60}$")]],
        Field(max_length=50),
        AfterValidator(_once_each),
    ] = []
    notes: Paragraphs = ""

    @model_validator(mode="after")
    def _whole_point(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError(_("Donnez la latitude et la longitude, ou aucune des deux."))
        return self


class TrainerInput(Input):
    name: Line
    email: Email | None = None
    phone: Line | None = None
    languages: Annotated[list[Language], AfterValidator(_once_each)] = ["fr"]


class WindowInput(Input):
    first: Day
    last: Day

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        return _dates_in_order(self, self.first, self.last)


class TourInput(Input):
    """`windows`: per stream, the local dates on which its sessions may stand."""

    title: Line
    region: Region | None = None
    programme_id: UUID | None = None
    description: Paragraphs = ""
    coordinator_note: Paragraphs = ""
    windows: dict[Stream, WindowInput] = {}


class StopInput(Input):
    """`position` None: at the end. `last_date` None: the stop is of one day."""

    venue_id: UUID
    first_date: Day
    last_date: Day | None = None
    position: Annotated[StrictInt, Field(ge=1, le=1000)] | None = None
    note: Paragraphs = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        return _dates_in_order(self, self.first_date, self.last_date)


class FromTemplateInput(Input):
    """A session of a stop, made from a template: its date and start, the rest as the template says."""

    activity_id: UUID
    starts_at: LocalTime
    capacity: Annotated[StrictInt, Field(ge=1, le=MOST_SEATS)] | None = None
    held_seats: dict[Channel, Seats] = {}
    duration_minutes: Annotated[StrictInt, Field(ge=5, le=24 * 60)] | None = None
    trainer_ids: list[UUID] = []


class CopyTourInput(Input):
    weeks: Annotated[StrictInt, Field(ge=-520, le=520)]
    title: Line | None = None


def _dates_in_order(model: Given, first: date | None, last: date | None) -> Given:
    if first is not None and last is not None and last < first:
        raise ValueError(_("La dernière date doit venir après la première."))
    return model
