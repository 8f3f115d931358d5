"""The address at which crowds register: `POST …/sessions/{session_id}/registrations`.

A plain route that reads the body itself: what FastAPI's dependency machinery would cost, a rush needs.
"""

import hashlib
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from libs.manage_tokens import manage_token
from libs.settings import Settings
from libs.web.app import service_of
from libs.web.auth import bearer_of, staff_of
from libs.web.i18n import _
from libs.web.openapi import described
from libs.web.problems import Malformed, Unauthorized, malformed
from libs.web.validation import FieldError
from services.registrations.inputs import RegistrationRequest
from services.registrations.lane import lane_of
from services.registrations.problems import SessionUnknown
from services.registrations.registering import Ask, ClientKey, Registered

PATH = "/api/registrations/v1/sessions/{session_id}/registrations"
LONGEST_KEY = 255
_NOBODY = hashlib.sha256(b"").hexdigest()[:16]


class RegistrationCreated(BaseModel):
    """`position` is the place in the line, 1 being next. The token is shown here and in messages only."""

    id: UUID
    session_id: UUID
    status: str
    position: int | None
    confirmation_number: str
    manage_url: str
    manage_token: str


@described(
    answers={201: RegistrationCreated, 200: RegistrationCreated},
    body=RegistrationRequest,
    parameters=[
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same key and body again give the same answer (200), for 24 hours.",
            "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
        }
    ],
    tags=["registrations"],
)
async def register(request: Request) -> Response:
    """Register somebody. Channels other than `web` need a staff token."""
    lane = lane_of(request)
    lane.check_room()
    session_id = _session_id(request)
    try:
        asked = RegistrationRequest.model_validate_json(await request.body())
    except ValidationError as error:
        raise malformed(error) from None
    if asked.channel != "web" and staff_of(request) is None:
        raise Unauthorized
    done = await lane.register(Ask(session_id, asked, uuid4(), _client_key(request)))
    return Response(
        _answer(service_of(request).settings, done),
        201 if done.created else 200,
        {"Location": f"/api/registrations/v1/registrations/{done.id}"},
        "application/json",
    )


def register_router() -> APIRouter:
    router = APIRouter()
    router.add_route(PATH, register, methods=["POST"])
    return router


def _session_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["session_id"])
    except ValueError:
        raise SessionUnknown from None


def _client_key(request: Request) -> ClientKey | None:
    """The key within this route and credential; the credential is kept as a hash."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not (1 <= len(key) <= LONGEST_KEY and "\0" not in key):
        raise Malformed(errors=[FieldError("Idempotency-Key", _("La clé doit avoir de 1 à 255 caractères."))])
    bearer = bearer_of(request)
    credential = _NOBODY if bearer is None else hashlib.sha256(bearer.encode()).hexdigest()[:16]
    return ClientKey(f"POST {request.scope['path']} {credential}", key)


def _answer(settings: Settings, done: Registered) -> bytes:
    token = manage_token(settings.secret, done.id, done.generation)
    return orjson.dumps(
        {
            "id": done.id,
            "session_id": done.session_id,
            "status": done.status,
            "position": done.position,
            "confirmation_number": done.confirmation_number,
            "manage_url": f"{settings.base_url}/mon-inscription/{token}",
            "manage_token": token,
        },
        default=str,
    )
