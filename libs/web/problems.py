"""What goes wrong at the edge, said once: RFC 9457 JSON for machines, a page for people.

Exception
└── Problem                      status, slug, title; subclassed by the services for their own slugs
    ├── BadRequest               400 bad-request
    ├── Unauthorized             401 unauthorized
    │   └── SignInNeeded         … on a page: 303 to the sign-in form
    ├── Forbidden                403 forbidden
    │   └── CrossSite            403 cross-site
    ├── NotFound                 404 not-found
    ├── MethodNotAllowed         405 method-not-allowed
    ├── Conflict                 409 conflict
    ├── Gone                     410 gone
    ├── PreconditionFailed       412 precondition-failed
    ├── TooLarge                 413 too-large
    ├── UnsupportedMedia         415 unsupported-media-type
    ├── Malformed                422 malformed
    ├── PreconditionRequired     428 precondition-required
    ├── Internal                 500 internal
    └── Unavailable              503 unavailable
"""

import logging
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar
from urllib.parse import quote

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from libs.web.i18n import LazyString, _, language_of, translate
from libs.web.templating import render
from libs.web.validation import FieldError, field_errors

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A refusal that the person or the program asking can understand.

    Subclasses set `status`, `slug`, `title` and perhaps `detail`. `extra` becomes extension members of
    the JSON and attributes of `problem` in the page; `errors` names the fields of malformed input.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[LazyString] = _("Quelque chose n’a pas fonctionné")
    detail: LazyString | None = None

    def __init__(
        self,
        detail: LazyString | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        super().__init__(self.slug)
        if detail is not None:
            self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    def __getattr__(self, name: str) -> object:
        """Extension members read like attributes: `problem.alternatives`."""
        extra: dict[str, object] = self.__dict__.get("extra", {})
        if name in extra:
            return extra[name]
        raise AttributeError(name)


class BadRequest(Problem):
    status = 400
    slug = "bad-request"
    title = _("Cette demande ne peut pas être lue")


class Unauthorized(Problem):
    status = 401
    slug = "unauthorized"
    title = _("Il faut vous identifier")
    detail = _("Cette partie est réservée à l’équipe.")

    def __init__(self, detail: LazyString | None = None, **extra: Any) -> None:
        super().__init__(detail, **extra)
        # RFC 9110, 11.6.1: a 401 names a way to authenticate.
        self.headers.setdefault("WWW-Authenticate", "Bearer")


class SignInNeeded(Unauthorized):
    """Nobody is signed in: programs get the 401, people the sign-in form, then the page they asked for."""


class Forbidden(Problem):
    status = 403
    slug = "forbidden"
    title = _("Vous n’avez pas accès à cette page")


class CrossSite(Forbidden):
    slug = "cross-site"
    title = _("Cette demande vient d’un autre site")
    detail = _("Revenez à la page précédente et recommencez.")


class NotFound(Problem):
    status = 404
    slug = "not-found"
    title = _("Cette page n’existe pas")
    detail = _("L’adresse est peut-être incomplète, ou la page a été retirée.")


class MethodNotAllowed(Problem):
    status = 405
    slug = "method-not-allowed"
    title = _("Cette action n’est pas possible ici")


class Conflict(Problem):
    status = 409
    slug = "conflict"
    title = _("Cette action n’est plus possible")


class Gone(Problem):
    status = 410
    slug = "gone"
    title = _("Ce lien n’est plus valable")


class PreconditionFailed(Problem):
    status = 412
    slug = "precondition-failed"
    title = _("Quelqu’un d’autre a fait un changement entre-temps")
    detail = _("Relisez la version actuelle, puis recommencez.")


class TooLarge(Problem):
    status = 413
    slug = "too-large"
    title = _("Cet envoi est trop volumineux")


class UnsupportedMedia(Problem):
    status = 415
    slug = "unsupported-media-type"
    title = _("Ce format d’envoi n’est pas accepté")


class Malformed(Problem):
    status = 422
    slug = "malformed"
    title = _("Certaines réponses sont à corriger")


class PreconditionRequired(Problem):
    status = 428
    slug = "precondition-required"
    title = _("Il faut dire quelle version vous modifiez")
    detail = _("Ajoutez l’en-tête If-Match avec l’ETag que vous avez lu.")


class Internal(Problem):
    status = 500
    slug = "internal"
    title = _("Une erreur s’est produite")
    detail = _("Ce n’est pas votre faute. Réessayez dans quelques minutes.")


class Unavailable(Problem):
    status = 503
    slug = "unavailable"
    title = _("Le service est interrompu quelques instants")
    detail = _("Rien n’a été perdu. Réessayez dans une minute.")

    def __init__(self, detail: LazyString | None = None, *, retry_after: int = 5, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.headers.setdefault("Retry-After", str(retry_after))


_BY_STATUS: Mapping[int, type[Problem]] = {
    problem.status: problem
    for problem in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, Conflict, Gone,
        PreconditionFailed, TooLarge, UnsupportedMedia, Malformed, PreconditionRequired, Unavailable,
    )
}  # fmt: skip


def of_status(status: int) -> Problem:
    """The problem for a bare HTTP status, as the framework raises them."""
    return _BY_STATUS.get(status, BadRequest if status < 500 else Internal)()


def install(app: FastAPI) -> None:
    """Every refusal that a route or the framework raises takes the one shape."""
    for kind in (Problem, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _on_refusal)


async def _on_refusal(request: Request, error: Exception) -> Response:
    response = refusal(request, error)
    assert response is not None
    return response


def refusal(request: Request, error: Exception) -> Response | None:
    """The answer to what was raised on purpose, by a route or the framework; None for anything else."""
    if isinstance(error, Problem):
        return problem_response(request, error)
    if isinstance(error, HTTPException):
        return _http_refusal(request, error)
    if isinstance(error, RequestValidationError):
        found = error.errors()
        # A path that can't name anything is a page that doesn't exist, not an answer to correct.
        if found and all(item["loc"][:1] == ("path",) for item in found):
            return problem_response(request, NotFound())
        return problem_response(request, Malformed(errors=field_errors(found)))
    return None


def _http_refusal(request: Request, error: HTTPException) -> Response:
    path = request.scope["path"]
    if error.status_code == 404 and path.endswith("/") and path != "/" and request.method == "GET":
        return RedirectResponse(
            "/" + request.url.path.strip("/") + (f"?{request.url.query}" if request.url.query else ""), 308
        )
    problem = of_status(error.status_code)
    problem.headers.update(error.headers or {})
    return problem_response(request, problem)


def malformed(error: ValidationError, prefix: str = "body") -> Malformed:
    """What FastAPI would have answered, for a route that validates by itself.

    `prefix` is where the input stood (`body`, `query`, …). Raise the result from the route.
    """
    found = error.errors(include_url=False, include_input=False)
    return Malformed(errors=field_errors([{**item, "loc": (prefix, *item["loc"])} for item in found]))


def problem_response(request: Request, problem: Problem) -> Response:
    """`problem` as JSON or as a page, by path and `Accept`."""
    if not wants_page(request):
        body = orjson.dumps(as_json(request, problem), default=str)
        return Response(body, problem.status, {"Cache-Control": "no-store", **problem.headers}, MEDIA_TYPE)
    # A program that showed a wrong token wants to know, not to be led to a form.
    if isinstance(problem, SignInNeeded) and "authorization" not in request.headers:
        return RedirectResponse(_sign_in_address(request), 303, {"Cache-Control": "no-store"})
    page = _page(request, problem)
    page.headers.update({"Cache-Control": "no-store", **problem.headers})
    return page


def wants_page(request: Request) -> bool:
    """Whether a person is asking: machines have `/api/…`, or ask for JSON and not for HTML."""
    path: str = request.scope["path"]
    if path.startswith(("/api/", "/health", "/metrics")) or path.endswith(".json"):
        return False
    accept = request.headers.get("accept", "")
    return "text/html" in accept or "json" not in accept


def as_json(request: Request, problem: Problem) -> dict[str, object]:
    """The members of RFC 9457, section 3.1, then the problem's own, in the language of the request."""
    language, package = language_of(request), request.app.state.package

    def say(value: object) -> object:
        return translate(value, language, package) if isinstance(value, LazyString) else value

    body: dict[str, object] = {
        "type": f"urn:tournee:problem:{problem.slug}",
        "title": say(problem.title),
        "status": problem.status,
    }
    if problem.detail is not None:
        body["detail"] = say(problem.detail)
    body["instance"] = f"urn:tournee:request:{request.scope.get('request_id', '')}"
    if problem.errors:
        body["errors"] = [{"field": e.field, "message": say(e.message)} for e in problem.errors]
    return body | {name: say(value) for name, value in problem.extra.items()}


def _page(request: Request, problem: Problem) -> Response:
    try:
        return render(request, "problem.html", problem.status, problem=problem)
    except Exception:
        # The page that says sorry must never fail itself: a database or template that is away ends here.
        log.exception("The problem page could not be rendered")
        language, package = language_of(request), request.app.state.package
        title = escape(translate(problem.title, language, package))
        way_out = escape(translate(_("Aller au calendrier"), language, package))
        return HTMLResponse(
            f'<!doctype html><html lang="{language}"><title>{title}</title><h1>{title}</h1>'
            f'<p><a href="/">{way_out}</a></p>',
            problem.status,
        )


def _sign_in_address(request: Request) -> str:
    # A form that was sent can't be asked again by its address; the sign-in then leads to the start.
    path = request.url.path if request.method in {"GET", "HEAD"} else ""
    query = f"?{request.url.query}" if path and request.url.query else ""
    return "/connexion" + (f"?suite={quote(path + query, safe='/')}" if path else "")
