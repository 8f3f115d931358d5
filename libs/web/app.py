"""One service as a web application: its routers, loops, health and the shell around every request."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.database import Database
from libs.messaging.bus import Bus
from libs.settings import Settings
from libs.web import metrics, problems
from libs.web.assets import HashedStaticFiles
from libs.web.auth import auth_router
from libs.web.csrf import CrossSiteCheck
from libs.web.health import Health
from libs.web.i18n import COOKIE, known_language
from libs.web.logs import RequestLog
from libs.web.loops import Crash, Loop, Loops, exit_loudly, is_expected
from libs.web.openapi import add_docs
from libs.web.security import BodyLimit, SecurityHeaders

__all__ = ["Loop", "Reading", "Service", "Transaction", "create_app", "service_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """What a service is made of; opened and closed in `deploy`, passed explicitly."""

    name: str
    settings: Settings
    database: Database
    bus: Bus


def create_app(
    service: Service,
    *,
    package: str,
    routers: Sequence[APIRouter],
    loops: Mapping[str, Loop] = {},
    health: Callable[[], Awaitable[Mapping[str, object]]] | None = None,
) -> FastAPI:
    """The application of `service`, whose templates and translations lie in `package`.

    Its lifespan runs `loops`; `app.state.on_crash` (`Crash`, default: end the process) is called when
    one breaks. `app.state.health()` is the report of `/health/{name}`, `health` adds to it;
    `app.state.metrics` holds the figures of `/metrics`.
    """

    def on_crash() -> Crash:
        crash: Crash = app.state.on_crash
        return crash

    running = Loops(loops, on_crash)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running.running():
            yield

    app = FastAPI(
        title=f"Tournée – {service.name}",
        version="1",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # Starlette builds that redirect from the Host header.
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.package = package
    app.state.on_crash = exit_loudly
    app.state.health = Health(service.name, service.database, running, health)
    app.state.metrics = metrics.Metrics(service.name)
    problems.install(app)
    for router in (*routers, auth_router(service.settings), _operations(service.name)):
        app.include_router(router)
    add_docs(app, service.name)
    app.mount("/static", HashedStaticFiles(), name="static")
    _wrap(app, service)
    return app


def service_of(request: Request) -> Service:
    """The service that answers `request`."""
    service: Service = request.app.state.service
    return service


async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    async with service_of(request).database.transaction() as session:
        yield session


async def _reading(request: Request) -> AsyncIterator[AsyncSession]:
    async with service_of(request).database.reading() as session:
        yield session


# Scope "function" ends the dependency before the answer leaves: a commit that fails is an error page,
# never a redirect that says all went well. ("request" would commit after the answer was sent.)
Transaction = Annotated[AsyncSession, Depends(_transaction, scope="function")]
Reading = Annotated[AsyncSession, Depends(_reading, scope="function")]


def _operations(name: str) -> APIRouter:
    """What operators ask: `/health/{name}`, `/health` (all services of this process), `/metrics`."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"/health/{name}")
    async def health(request: Request) -> Response:
        report = await request.app.state.health()
        return JSONResponse(report, 200 if report["ready"] else 503, {"Cache-Control": "no-store"})

    @router.get("/health")
    async def all_health(request: Request) -> Response:
        return await overall_health([request.app])

    @router.get("/metrics")
    async def figures(request: Request) -> Response:
        return await overall_metrics([request.app])

    return router


async def overall_health(apps: Sequence[FastAPI]) -> Response:
    """`/health` of a process that hosts `apps`: ready when all of them are."""
    reports = await asyncio.gather(*(app.state.health() for app in apps))
    ready = all(report["ready"] for report in reports)
    body = {"ready": ready, "services": {report["service"]: report for report in reports}}
    return JSONResponse(body, 200 if ready else 503, {"Cache-Control": "no-store"})


async def overall_metrics(apps: Sequence[FastAPI]) -> Response:
    """`/metrics` of a process that hosts `apps`."""
    for app in apps:
        app.state.metrics.set_health(await app.state.health())
    page = metrics.exposition([app.state.metrics.registry for app in apps])
    return Response(page, headers={"Content-Type": metrics.CONTENT_TYPE, "Cache-Control": "no-store"})


def _wrap(app: FastAPI, service: Service) -> None:
    """The shell around every request; the last one added is the outermost."""
    base_url = service.settings.base_url
    app.add_middleware(CrossSiteCheck, base_url=base_url)
    app.add_middleware(BodyLimit)
    app.add_middleware(LastResort)
    app.add_middleware(LanguageCookie, https=base_url.startswith("https:"))
    app.add_middleware(HeadAsGet)
    app.add_middleware(SecurityHeaders, https=base_url.startswith("https:"))
    app.add_middleware(RequestLog, service=service.name, metrics=app.state.metrics)


class LastResort:
    """Whatever was raised and not answered yet becomes a problem: away is 503, unexpected is 500."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except ClientDisconnect:
            log.info("The client went away before its request was read")
        except Exception as error:
            problem = _as_problem(error)
            if problem.status >= 500:
                _report(error, problem)
            if started:
                raise
            response = problems.problem_response(Request(scope, receive), problem)
            await response(scope, receive, send)


def _as_problem(error: Exception) -> problems.Problem:
    if isinstance(error, problems.Problem):
        return error
    if isinstance(error, HTTPException):
        return problems.of_status(error.status_code)
    return problems.Unavailable() if is_expected(error) else problems.Internal()


def _report(error: Exception, problem: problems.Problem) -> None:
    if isinstance(problem, problems.Unavailable):
        log.warning("Unavailable", extra={"data": {"why": type(error).__name__}})
    else:
        log.error("A request failed", exc_info=error)


class LanguageCookie:
    """`?lang=` on any page is remembered, so that the links on it keep working as they are."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        language = (
            known_language(Request(scope).query_params.get("lang")) if scope["type"] == "http" else None
        )
        if language is None or scope["path"].startswith("/api/"):
            await self.app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], self._cookie(language)]}
            await send(message)

        await self.app(scope, receive, send_with_cookie)

    def _cookie(self, language: str) -> tuple[bytes, bytes]:
        secure = "; Secure" if self.https else ""
        year = 365 * 24 * 3600
        value = f"{COOKIE}={language}; Path=/; Max-Age={year}; HttpOnly; SameSite=Lax{secure}"
        return b"set-cookie", value.encode()


class HeadAsGet:
    """HEAD is GET without the body (RFC 9110, 9.3.2), for every route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope["method"] = "GET"
        await self.app(scope, receive, send_without_body)
