"""A party that changes, as a form asks for it: how many still come, or who goes on waiting by themselves."""

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from libs.settings import Settings
from libs.web.forms import Form, FormErrors
from libs.web.i18n import LazyString, _
from libs.web.validation import field_errors
from services.registrations import parties
from services.registrations.inputs import Name
from services.registrations.models import Registration
from services.registrations.registration_view import RegistrationView
from services.registrations.signup_choices import people

Deed = Literal["moins", "separer"]
"""What is done to a party, as the addresses call it."""

_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class PartyForm:
    """`size`: how many still come, or how many leave; `name`: who is called for those who leave."""

    deed: Deed
    size: int
    name: str
    errors: FormErrors

    async def carry_out(
        self, tx: AsyncSession, settings: Settings, person: RegistrationView, by: str
    ) -> Registration:
        """The registration that is now another one, or new. `by` as `parties.split` takes it."""
        if self.deed == "separer":
            return await parties.split(tx, settings, person.id, self.size, self.name, by)
        return await parties.shrink(tx, settings, person.id, self.size, by)


def is_possible(person: RegistrationView, deed: Deed) -> bool:
    return person.may_split if deed == "separer" else person.may_shrink


def choices(person: RegistrationView, deed: Deed) -> list[tuple[int, LazyString]]:
    """How many may still come, or leave: one of them stays."""
    most = person.seats if deed == "separer" else person.party_size
    return [(size, people(size)) for size in range(1, most)]


def read(sent: Form, person: RegistrationView, deed: Deed) -> PartyForm:
    """What was chosen and typed, with what is to correct."""
    errors, size, name = FormErrors(), sent.get("size", ""), ""
    possible = {str(number) for number, _label in choices(person, deed)}
    if size not in possible:
        errors.add("size", _("Choisissez un nombre de personnes."))
    if deed == "separer":
        try:
            name = _NAME.validate_python(sent.get("name", ""))
        except ValidationError as error:
            found = field_errors(error.errors(include_url=False, include_input=False))
            errors.add("name", found[0].message)
    return PartyForm(deed, int(size) if size in possible else 0, name, errors)
