"""What the team does out of the usual order: with a reason, once, and only to what it has seen."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.settings import Settings
from libs.web.app import service_of
from libs.web.forms import Form, FormErrors
from libs.web.i18n import _
from libs.web.problems import Conflict
from libs.web.validation import field_errors
from services.registrations import queries
from services.registrations.inputs import Reason
from services.registrations.models import Registration

Command = Callable[[AsyncSession, Settings], Awaitable[Registration]]

_REASON: TypeAdapter[str] = TypeAdapter(Reason)

ACTIONS = {
    "moved": _("Déplacée dans la file d’attente"),
    "prioritised": _("Classe de priorité changée"),
    "granted": _("Place donnée au-delà de la capacité"),
    "transferred": _("Transférée à cet atelier"),
    "no_answer": _("Pas de réponse à l’appel"),
    "split": _("Groupe séparé en deux"),
    "shrunk": _("Moins de personnes viennent"),
}
"""What `staff_action.action` says, in words."""


class Outdated(Conflict):
    """The form was about a registration as it was; it has changed since."""

    slug = "outdated"
    title = _("Cette inscription vient de changer")
    detail = _("Rien n’a été fait. Voici ce qui est vrai maintenant.")


def reason_of(sent: Form, errors: FormErrors) -> str:
    """Why, in one line; what can't be taken is kept as it was typed, with its mistake in `errors`."""
    typed = sent.get("reason", "")
    try:
        return _REASON.validate_python(typed)
    except ValidationError as error:
        found = field_errors(error.errors(include_url=False, include_input=False))
        errors.add("reason", found[0].message)
        return typed


async def carry_out(request: Request, registration_id: UUID, sent: Form, command: Command) -> Registration:
    """Do it to the registration that the form showed, of that `version`.

    Raises `Outdated` if it has changed since, and whatever the command refuses: then nothing is done.
    """
    service = service_of(request)
    async with service.database.transaction() as tx:
        done = await command(tx, service.settings)
        # The command has the session's lock by now, and has counted this change itself.
        now = await tx.get_one(Registration, registration_id)
        if str(now.version - 1) != sent.get("version"):
            raise Outdated
        return done


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a member of the team asked for, with the form as it was sent."""

    registration_id: UUID
    action: str
    reason: str
    by: str
    sent: Form

    async def was_done(self, tx: AsyncSession) -> bool:
        """Whether it is the last thing that happened to the registration: sent twice, it is done once."""
        now = await tx.get(Registration, self.registration_id)
        if now is None or str(now.version - 1) != self.sent.get("version"):
            return False
        done = (await queries.staff_actions(tx, [now.id])).get(now.id, [])
        return any(
            (last.action, last.reason, last.by) == (self.action, self.reason, self.by) for last in done[-1:]
        )
