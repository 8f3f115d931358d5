"""Who is staff: a bearer token, or a signed cookie that is valid in every service."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.settings import Settings
from libs.web.forms import FormErrors, read_form
from libs.web.i18n import _
from libs.web.problems import SignInNeeded
from libs.web.templating import render
from libs.web.tokens import derived_key, same_secret, sign

COOKIE = "equipe"
HOURS = 12
START = "/coordination"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """Somebody of the team. With the admin token there is one member, who has every role."""

    id: str


ADMIN = StaffMember("admin")


def staff_of(request: Request) -> StaffMember | None:
    """Who sends this request, by bearer token or cookie; None for the public."""
    settings: Settings = request.app.state.service.settings
    bearer = bearer_of(request)
    if bearer is not None:
        return ADMIN if _is_admin_token(settings, bearer) else None
    cookie = request.cookies.get(COOKIE)
    return _read_cookie(settings, cookie) if cookie else None


def bearer_of(request: Request) -> str | None:
    """The token of `Authorization: Bearer …` (RFC 6750, 2.1), staff's or a person's own."""
    return bearer_in(request.headers.get("authorization", ""))


def bearer_in(authorization: str) -> str | None:
    """The token in the value of an `Authorization` header."""
    scheme, _sep, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def require_staff(request: Request) -> StaffMember:
    """The staff member, or `SignInNeeded`: 401 for programs, the sign-in form for people."""
    staff = staff_of(request)
    if staff is None:
        raise SignInNeeded
    return staff


Staff = Annotated[StaffMember, Depends(require_staff)]
MaybeStaff = Annotated[StaffMember | None, Depends(staff_of)]


def auth_router(settings: Settings) -> APIRouter:
    """Signing in and out; the same pages in every service, since the cookie is the same."""
    router = APIRouter(include_in_schema=False)

    @router.get("/connexion")
    async def show_form(request: Request, suite: str = "") -> Response:
        return _form(request, suite)

    @router.post("/connexion")
    async def sign_in(request: Request) -> Response:
        form = await read_form(request)
        suite = form.get("suite", "")
        if not _is_admin_token(settings, form.get("token", "")):
            return _form(request, suite, failed=True)
        return _signed_in(settings, suite)

    @router.get("/connexion/{token}")
    async def show_link(request: Request, token: str) -> Response:
        # Mail programs and previews follow links: looking signs nobody in, the button does.
        return render(request, "sign_in.html", by_link=True, suite="", errors=FormErrors())

    @router.post("/connexion/{token}")
    async def sign_in_by_link(request: Request, token: str) -> Response:
        if not _is_admin_token(settings, token):
            return _form(request, "", failed=True)
        return _signed_in(settings, "")

    @router.post("/deconnexion")
    async def sign_out() -> Response:
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    return router


def local_path(value: str, default: str = START) -> str:
    """`value` if it leads nowhere but here, else `default`: a sign-in never forwards to another site."""
    parts = urlsplit(value) if value.isprintable() and " " not in value else None
    ours = parts is not None and not parts.scheme and not parts.netloc
    # Browsers read a backslash as a slash, so `/\host` would be `//host`.
    return (
        value
        if ours and value.startswith("/") and not value.startswith("//") and "\\" not in value
        else default
    )


def _form(request: Request, suite: str, *, failed: bool = False) -> Response:
    errors = FormErrors()
    if failed:
        errors.add("token", _("Ce jeton n’est pas le bon. Vérifiez qu’il est complet, puis réessayez."))
    status = 401 if failed else 200
    page = render(request, "sign_in.html", status, by_link=False, suite=local_path(suite, ""), errors=errors)
    if failed:
        page.headers["WWW-Authenticate"] = "Bearer"
    return page


def _signed_in(settings: Settings, suite: str) -> Response:
    response = RedirectResponse(local_path(suite), 303)
    response.set_cookie(
        COOKIE,
        _serializer(settings).dumps({"id": ADMIN.id, "key": _fingerprint(settings)}),
        max_age=HOURS * 3600,
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.base_url.startswith("https:"),
    )
    return response


def _read_cookie(settings: Settings, cookie: str) -> StaffMember | None:
    try:
        content = _serializer(settings).loads(cookie, max_age=HOURS * 3600)
    except BadData:
        return None
    # A new ADMIN_TOKEN ends the sessions that the old one opened.
    if content.get("key") != _fingerprint(settings):
        return None
    return StaffMember(content["id"])


def _serializer(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(derived_key(settings.secret, "staff-session"), salt="staff-session")


def _fingerprint(settings: Settings) -> str:
    return sign(settings.secret, "admin-token", _admin_token(settings).encode())[-8:]


def _admin_token(settings: Settings) -> str:
    return settings.admin_token.get_secret_value() if settings.admin_token else ""


def _is_admin_token(settings: Settings, given: str) -> bool:
    expected = _admin_token(settings)
    return same_secret(given.strip(), expected) and bool(expected)
