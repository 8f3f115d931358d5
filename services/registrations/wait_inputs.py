"""What a wait for many sessions may say: validated and normalised before anything else sees it."""

import hashlib
from datetime import date, timedelta
from typing import Annotated, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from libs import vocabularies
from libs.web.i18n import _
from libs.web.validation import FieldError
from services.registrations.inputs import NotTaken, PersonRequest, read_optional_line
from services.registrations.wishing import FARTHEST_KM

LONGEST = timedelta(days=366)
"""Nobody waits for longer without saying so again."""


def _theme(value: str) -> str:
    if value not in vocabularies.ids("themes"):
        raise NotTaken(_("Choisissez un sujet."))
    return value


def _region(value: str) -> str:
    if vocabularies.region(value) is None:
        raise NotTaken(_("Choisissez une région de la liste."))
    return value


class Near(BaseModel):
    """Within `km` kilometres of a point, in degrees; `place` is its name, as the person gave it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    km: Annotated[float, Field(gt=0, le=FARTHEST_KM)]
    place: Annotated[str | None, Field(max_length=120), AfterValidator(read_optional_line)] = None


class WaitRequest(PersonRequest):
    """Somebody waits for a seat at any session of a theme from `first_day` to `last_day`, both included.

    In one of `regions`, or `around` a point; with neither, anywhere. `online`: by video will do as well.
    `session_language` None: whatever is spoken there.
    """

    theme: Annotated[str, AfterValidator(_theme)]
    stream: Literal["public", "pro"] = "public"
    regions: Annotated[tuple[Annotated[str, AfterValidator(_region)], ...], Field(max_length=40)] = ()
    around: Near | None = None
    online: bool = False
    session_language: Literal["fr", "en"] | None = None
    first_day: date
    last_day: date

    @property
    def content_hash(self) -> bytes:
        """Of everything asked, but for the answer to « est-ce une autre personne ? »."""
        return hashlib.sha256(orjson.dumps(self.model_dump(exclude={"another_person"}))).digest()


def errors_of_period(asked: WaitRequest, today: date) -> list[FieldError]:
    """What is wrong with the days: over already, the wrong way round, or too far away."""
    if asked.last_day < today:
        return [FieldError("last_day", _("Choisissez un jour qui n’est pas passé."))]
    if asked.last_day < asked.first_day:
        return [FieldError("last_day", _("Le dernier jour vient avant le premier."))]
    if asked.last_day > today + LONGEST:
        return [FieldError("last_day", _("Choisissez un jour dans l’année qui vient."))]
    return []
