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
from libs.web.problems import Forbidden, SignInNeeded
from libs.web.templating import render
from libs.web.tokens import derived_key, same_secret, sign

COOKIE = "equipe"
HOURS = 12
START = "/coordination"


REGIONAL, NATIONAL = "regional", "national"
"""The roles: who runs this region's sessions and knows its people, and who sees the country in figures."""


@dataclass(frozen=True, slots=True)
class StaffMember:
    """Somebody of the team. With the admin token there is one member, who has every role."""

    id: str
    roles: frozenset[str]


ADMIN = StaffMember("admin", frozenset({REGIONAL, NATIONAL}))
NATIONAL_STAFF = StaffMember("national", frozenset({NATIONAL}))
_MEMBERS = {member.id: member for member in (ADMIN, NATIONAL_STAFF)}
_STARTS = {ADMIN: START, NATIONAL_STAFF: "/national"}


def member_of(request: Request) -> StaffMember | None:
    """Who sends this request, by bearer token or cookie, whatever they may do; None for the public."""
    settings: Settings = request.app.state.service.settings
    bearer = bearer_of(request)
    if bearer is not None:
        return _holder_of(settings, bearer)
    cookie = request.cookies.get(COOKIE)
    return _read_cookie(settings, cookie) if cookie else None


def staff_of(request: Request) -> StaffMember | None:
    """The regional staff member who sends this request; None for the public, and for national staff.

    Whoever has only the national role sees nobody's name.
    """
    return _with_role(member_of(request), REGIONAL)


def national_of(request: Request) -> StaffMember | None:
    """The member of national staff who sends this request, or None."""
    return _with_role(member_of(request), NATIONAL)


def _with_role(member: StaffMember | None, role: str) -> StaffMember | None:
    return member if member is not None and role in member.roles else None


def bearer_of(request: Request) -> str | None:
    """The token of `Authorization: Bearer …` (RFC 6750, 2.1), staff's or a person's own."""
    return bearer_in(request.headers.get("authorization", ""))


def bearer_in(authorization: str) -> str | None:
    """The token in the value of an `Authorization` header."""
    scheme, _sep, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def require_staff(request: Request) -> StaffMember:
    """The regional staff member, or `SignInNeeded`: 401 for programs, the sign-in form for people.

    Who is signed in without that role gets `Forbidden`.
    """
    return _required(request, REGIONAL)


def require_national(request: Request) -> StaffMember:
    """The member of national staff, or as `require_staff`."""
    return _required(request, NATIONAL)


def _required(request: Request, role: str) -> StaffMember:
    member = member_of(request)
    if member is None:
        raise SignInNeeded
    if role not in member.roles:
        raise Forbidden(_("Votre accès ne comprend pas cette partie."))
    return member


Staff = Annotated[StaffMember, Depends(require_staff)]
NationalStaff = Annotated[StaffMember, Depends(require_national)]
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
        member = _holder_of(settings, form.get("token", ""))
        if member is None:
            return _form(request, suite, failed=True)
        return _signed_in(settings, member, suite)

    @router.get("/connexion/{token}")
    async def show_link(request: Request, token: str) -> Response:
        # Mail programs and previews follow links: looking signs nobody in, the button does.
        return render(request, "sign_in.html", by_link=True, suite="", errors=FormErrors())

    @router.post("/connexion/{token}")
    async def sign_in_by_link(request: Request, token: str) -> Response:
        member = _holder_of(settings, token)
        if member is None:
            return _form(request, "", failed=True)
        return _signed_in(settings, member, "")

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


def _signed_in(settings: Settings, member: StaffMember, suite: str) -> Response:
    response = RedirectResponse(local_path(suite, _STARTS[member]), 303)
    response.set_cookie(
        COOKIE,
        _serializer(settings).dumps({"id": member.id, "key": _fingerprint(settings, member)}),
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
    member = _MEMBERS.get(content["id"])
    # A new token ends the sessions that the old one opened.
    if member is None or content.get("key") != _fingerprint(settings, member):
        return None
    return member


def _serializer(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(derived_key(settings.secret, "staff-session"), salt="staff-session")


def _fingerprint(settings: Settings, member: StaffMember) -> str:
    return sign(settings.secret, f"{member.id}-token", _token_of(settings, member).encode())[-8:]


def _token_of(settings: Settings, member: StaffMember) -> str:
    token = settings.admin_token if member is ADMIN else settings.national_token
    return token.get_secret_value() if token else ""


def _holder_of(settings: Settings, given: str) -> StaffMember | None:
    """Whose token this is. Every token is compared, so that the time taken says nothing."""
    holder = None
    for member in _MEMBERS.values():
        expected = _token_of(settings, member)
        if same_secret(given.strip(), expected) and expected:
            holder = holder or member
    return holder
