"""One service as a web application: its routers, loops, health and the shell around every request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from libs.database import Database
from libs.messaging import asyncapi, schemas
from libs.messaging.bridge import Bridge
from libs.messaging.bus import Bus
from libs.settings import Settings
from libs.web import metrics, problems
from libs.web.assets import HashedStaticFiles
from libs.web.auth import auth_router
from libs.web.direct_routes import DirectRoutes, plain_routes
from libs.web.health import Health
from libs.web.kept import KeptAnswers
from libs.web.loops import Crash, Loop, Loops, exit_loudly
from libs.web.openapi import add_docs
from libs.web.shell import Shell

__all__ = ["Loop", "Reading", "Service", "Transaction", "create_app", "service_of"]


@dataclass(frozen=True)
class Service:
    """What a service is made of; opened and closed in `deploy`, passed explicitly.

    `bridge` is the way to the national bus, where the instance has one.
    """

    name: str
    settings: Settings
    database: Database
    bus: Bus
    bridge: Bridge | None = None


def create_app(
    service: Service,
    *,
    package: str,
    routers: Sequence[APIRouter],
    loops: Mapping[str, Loop] = {},
    health: Callable[[], Awaitable[Mapping[str, object]]] | None = None,
    kept: KeptAnswers | None = None,
) -> FastAPI:
    """The application of `service`, whose templates and translations lie in `package`.

    Its lifespan runs `loops`; `app.state.on_crash` (`Crash`, default: end the process) is called when
    one breaks. `app.state.ending` (an event) is set once the process is about to end: an answer without
    an end of its own must find one. `app.state.health()` is the report of `/health/{name}`, `health` adds
    to it; `app.state.metrics` holds the figures of `/metrics`. `kept` answers for the application where
    it can.
    """

    def on_crash() -> Crash:
        crash: Crash = app.state.on_crash
        return crash

    running = Loops(loops, on_crash)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running.running():
            yield

    direct = [route for router in routers for route in plain_routes(router)]
    app = Application(
        direct_routes=direct,
        kept=kept,
        title=f"Tournée – {service.name}",
        version="1",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # Starlette builds that redirect from the Host header.
        redirect_slashes=False,
        # Asking for a tracer on each request costs as much as a route; /metrics and the log are ours.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    app.state.package = package
    app.state.on_crash = exit_loudly
    app.state.ending = asyncio.Event()
    app.state.health = Health(service.name, service.database, running, health)
    app.state.metrics = metrics.Metrics(service.name)
    problems.install(app)
    for router in (*routers, auth_router(service.settings), _operations(service.name)):
        app.include_router(router)
    add_docs(app, service.name, direct)
    app.mount("/static", HashedStaticFiles(), name="static")
    return app


class Application(FastAPI):
    """FastAPI inside our shell, and beside it the routes that need nothing of FastAPI's."""

    def __init__(self, *, direct_routes: Sequence[Route], kept: KeptAnswers | None, **options: Any) -> None:
        super().__init__(**options)
        self._direct_routes = direct_routes
        self._kept = kept

    def build_middleware_stack(self) -> ASGIApp:
        framework = super().build_middleware_stack()
        # Its outermost layer would answer what nobody foresaw in plain text; the shell does it in our shape.
        assert isinstance(framework, ServerErrorMiddleware)
        app: ASGIApp = framework.app
        if self._direct_routes:
            app = DirectRoutes(self._direct_routes, otherwise=app)
        if self._kept is not None:
            app = self._kept.around(app)
        service: Service = self.state.service
        return Shell(
            app,
            service=service.name,
            base_url=service.settings.base_url,
            metrics=self.state.metrics,
        )


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
    """What operators ask: `/health/{name}`, `/health` (all services of this process), `/metrics`.

    `/asyncapi.json` says what streams there are, `/schemas/{stream}.json` what their messages hold, the
    same in every service.
    """
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

    @router.get("/asyncapi.json")
    async def streams() -> Response:
        return streams_document()

    @router.get("/schemas/{stream}.json")
    async def schema(stream: str) -> Response:
        return schema_document(stream)

    return router


def streams_document() -> Response:
    """`/asyncapi.json`."""
    return Response(asyncapi.as_bytes(), media_type="application/json")


def schema_document(stream: str) -> Response:
    """`/schemas/{stream}.json`: the address that a message gives of its schema (`ce_dataschema`)."""
    found = schemas.published().get(stream)
    if found is None:
        return JSONResponse({"title": "No such stream", "status": 404}, 404, media_type=problems.MEDIA_TYPE)
    return JSONResponse(found, media_type="application/schema+json")


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
