"""What national staff and programs may send: strict models that refuse what they don't know."""

from datetime import date
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from libs import vocabularies
from libs.messaging.signing import read_key
from libs.web.i18n import _
from services.national.believing import LARGEST_EPOCH, Region

_FIRST_YEAR, _LAST_YEAR = 2000, 2100


class Input(BaseModel):
    """Unknown fields are refused: a misspelt one would else be lost without a word."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _readable(value: str) -> str:
    if any(ord(character) < 32 for character in value):
        raise ValueError(_("Ce texte contient un caractère qui ne peut pas être lu. Retapez-le."))
    return value


def _region(value: str) -> str:
    if vocabularies.region(value) is None:
        raise ValueError(_("Nous ne connaissons pas cette région. Donnez un code comme 03 ou CA-NB."))
    return value


def _as_text(value: object) -> object:
    """Text alone: a number would be read as a Unix time, which nobody means here."""
    if value is not None and not isinstance(value, (str, date)):
        raise ValueError(_("Donnez une date, comme 2027-02-03."))
    return value


def _in_reach(value: date | None) -> date | None:
    if value is not None and not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(_("Donnez une année de %(first)s à %(last)s.", first=_FIRST_YEAR, last=_LAST_YEAR))
    return value


def _public_key(value: str) -> str:
    try:
        read_key(value)
    except ValueError:
        raise ValueError(_("Donnez la clé publique de l’instance : 32 octets en base64.")) from None
    return value


Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_readable)
]
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(_readable)
]
Day = Annotated[date, BeforeValidator(_as_text), AfterValidator(_in_reach)]
Moment = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_in_reach)]
PublicKey = Annotated[str, AfterValidator(_public_key)]


class WithReason(Input):
    """Every change of the registry says why; it stays in the log."""

    reason: Reason


class RegionInput(Input):
    """A region that an instance may speak for, from a day on, up to before another."""

    region: Annotated[str, AfterValidator(_region)]
    valid_from: Day = date(2000, 1, 1)
    valid_until: Day | None = None

    def region_of(self) -> Region:
        return Region(self.region, self.valid_from, self.valid_until)


class KeyInput(WithReason):
    """`valid_from`: from when on what it signs is believed; now, unless said."""

    public_key: PublicKey
    valid_from: Moment | None = None
    valid_until: Moment | None = None


class InstanceInput(WithReason):
    """Without a region named it may speak for all of them. The key can be added later."""

    instance: Line
    name: Line
    regions: list[RegionInput] = Field(default=[], max_length=100)
    public_key: PublicKey | None = None
    valid_from: Moment | None = None


class InstancePatch(WithReason):
    """`regions` replaces all of them."""

    name: Line | None = None
    regions: Annotated[list[RegionInput], Field(max_length=100)] | None = None


class EpochInput(WithReason):
    epoch: Annotated[int, Field(ge=1, le=LARGEST_EPOCH)]


class KeyEndInput(WithReason):
    """Without `valid_until` the key ends now."""

    valid_until: Moment | None = None


class OwnerInput(WithReason):
    instance: Line


class ReplayInput(Input):
    """Without an instance, all of the quarantine."""

    instance: Line | None = None
