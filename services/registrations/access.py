"""Who may see and change a registration: its own person by the manage token, or staff."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.manage_tokens import BadToken, manage_token, read_manage_token
from libs.settings import Settings
from libs.web.app import service_of
from libs.web.auth import bearer_of, staff_of
from libs.web.problems import Unauthorized
from services.registrations.models import Registration, Wait
from services.registrations.problems import LinkRevoked, RegistrationUnknown, WaitUnknown

By = Literal["person", "staff"]


def require_person_or_staff(request: Request, registration_id: UUID) -> By:
    """Who asks about this registration; anybody else gets 401. The row's generation is checked later."""
    if staff_of(request) is not None:
        return "staff"
    try:
        claim = read_manage_token(service_of(request).settings.secret, bearer_of(request) or "")
    except BadToken:
        raise Unauthorized from None
    if claim.registration_id != registration_id:
        raise Unauthorized
    request.state.generation = claim.generation
    return "person"


Requester = Annotated[By, Depends(require_person_or_staff)]


def require_waiter_or_staff(request: Request, wait_id: UUID) -> By:
    """The same for a wait, whose link is a token of its own."""
    return require_person_or_staff(request, wait_id)


Waiter = Annotated[By, Depends(require_waiter_or_staff)]


async def check_generation(tx: AsyncSession, registration_id: UUID, generation: int) -> None:
    """Refuse a link that staff have replaced (410), before anything is shown or changed."""
    registration = await tx.get(Registration, registration_id)
    if registration is None:
        raise RegistrationUnknown
    if generation != registration.generation:
        raise LinkRevoked


async def check_wait_generation(tx: AsyncSession, wait_id: UUID, generation: int) -> None:
    """Refuse a link to a wait's page that staff have replaced (410)."""
    wait = await tx.get(Wait, wait_id)
    if wait is None:
        raise WaitUnknown
    if generation != wait.generation:
        raise LinkRevoked


def wait_url(settings: Settings, wait_id: UUID, generation: int) -> str:
    """The page of somebody's wait, with all its stops."""
    return f"{settings.base_url}/mon-attente/{manage_token(settings.secret, wait_id, generation)}"


def manage_url(settings: Settings, registration_id: UUID, generation: int) -> str:
    """The person's own page. Built from PUBLIC_URL, never from the Host header."""
    return f"{settings.base_url}/mon-inscription/{manage_token(settings.secret, registration_id, generation)}"
