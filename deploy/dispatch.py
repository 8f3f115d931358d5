"""Which service answers which address, when one port serves them all."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.web.app import overall_health, overall_metrics, schema_document, streams_document
from libs.web.incoming import Incoming
from libs.web.security import SecurityHeaders

Answering = Callable[[Request], Awaitable[Response]]

CATCHER = "boite-envoi"
OPERATIONS = "operations"
PLACES = {
    "/inscription": "registrations",
    "/mon-inscription": "registrations",
    "/tirage": "registrations",
    "/attendre": "registrations",
    "/mon-attente": "registrations",
    "/guichet": "registrations",
    "/api/registrations": "registrations",
    "/health/registrations": "registrations",
    "/guichet/appels": "notifications",
    "/abonnement": "notifications",
    "/desabonnement": "notifications",
    "/api/notifications": "notifications",
    "/health/notifications": "notifications",
    "/partage": "exporter",
    "/api/exporter": "exporter",
    "/health/exporter": "exporter",
    "/national": "national",
    "/api/national": "national",
    "/health/national": "national",
    "/boite-envoi": CATCHER,
    "/boite-envoi.json": CATCHER,
    "/health": OPERATIONS,
    "/metrics": OPERATIONS,
    "/asyncapi.json": OPERATIONS,
    "/schemas": OPERATIONS,
    "/health/events": "events",
}
"""The longest match by whole segments wins; everything else is the calendar's."""


def service_at(path: str) -> str:
    """The name of whoever answers `path`."""
    # Asked for every request: no place is longer than two segments.
    segments = path.split("/", 3)[1:3]
    two, one = "/".join(("", *segments)), "/".join(("", *segments[:1]))
    return PLACES.get(two) or PLACES.get(one, "events")


class Dispatch:
    """One application made of several; their lifespans are run by whoever opened them."""

    def __init__(self, services: Mapping[str, FastAPI], catcher: FastAPI | None, *, https: bool) -> None:
        self._apps: dict[str, ASGIApp] = {**services, OPERATIONS: _together(services, https=https)}
        # With a real mail server there is no catcher, and its address is as unknown as any other.
        self._apps[CATCHER] = catcher or services["events"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps[service_at(scope["path"])](scope, receive, send)


def _together(services: Mapping[str, FastAPI], *, https: bool) -> ASGIApp:
    apps = list(services.values())

    async def health(_request: Request) -> Response:
        return await overall_health(apps)

    async def metrics(_request: Request) -> Response:
        return await overall_metrics(apps)

    return operations(health, metrics, https=https)


def operations(health: Answering, metrics: Answering, *, https: bool) -> ASGIApp:
    """What concerns all services at once: `/health`, `/metrics`, `/asyncapi.json` and `/schemas/…`."""

    async def streams(_request: Request) -> Response:
        return streams_document()

    async def schema(request: Request) -> Response:
        return schema_document(request.path_params["stream"])

    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/metrics", metrics),
            Route("/asyncapi.json", streams),
            Route("/schemas/{stream}.json", schema),
        ]
    )
    security = SecurityHeaders(https=https)

    async def secured(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = list(message["headers"])
                security.add_to(message["headers"], Incoming(scope))
            await send(message)

        await app(scope, receive, send_with_headers)

    return secured
