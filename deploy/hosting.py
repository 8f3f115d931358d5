"""Opening services for a runner: their databases and bus before they run, everything closed after."""

import asyncio
import gc
import importlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp

from deploy.ending import Ending
from libs.database import Database, is_unavailable, provision, service_url
from libs.messaging import topics
from libs.messaging.bridge import Bridge
from libs.messaging.bus import Bus
from libs.messaging.postgres import PostgresBus, bus_url, provision_bus
from libs.messaging.signing import Signer
from libs.migrations import migrate
from libs.settings import BadSettings, Settings
from libs.web.app import Service
from libs.web.loops import Loops
from services.events import reference
from services.national import registry

Ready = Callable[[], Coroutine[Any, Any, None]]
SERVICES = ("events", "registrations", "notifications", "exporter", "national")
_CANNOT_SERVE = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    DBAPIError,
)
_ONE_AT_A_TIME = 7_038_141
"""The advisory lock on the server under which databases are created: processes may start together."""


async def prepare(server_url: str, settings: Settings) -> None:
    """Create what is missing on the server: databases, tables, reference data, and the bus.

    Raises `BadSettings` when the server that DATABASE_URL or BUS_URL names can't be worked with.
    """
    try:
        await _prepare(server_url, settings)
    except _CANNOT_SERVE as error:
        wrong_migration = isinstance(error, DBAPIError) and not is_unavailable(error)
        if wrong_migration or (settings.database_url is None and settings.bus_url is None):
            raise
        # The migrations speak through SQLAlchemy, which puts words of its own around the server's.
        said = error.orig if isinstance(error, DBAPIError) else error
        raise BadSettings(f"DATABASE_URL, BUS_URL : le serveur ne peut pas servir ({said}).") from error


async def _prepare(server_url: str, settings: Settings) -> None:
    secret = settings.secret
    guard = await asyncpg.connect(server_url)
    try:
        await guard.execute("select pg_advisory_lock($1)", _ONE_AT_A_TIME)
        urls = {name: await provision(server_url, settings.instance, name, secret) for name in SERVICES}
        for name, url in urls.items():
            await migrate(url, f"services.{name}")
        await _load_reference(urls["events"])
        if settings.national_bus_url is None and settings.signing_key is not None:
            await _introduce(urls["national"], settings)
        streams = topics.streams(settings.instance)
        await provision_bus(_bus_server(server_url, settings), settings.instance, secret, streams)
    finally:
        await guard.close()


async def _load_reference(url: str) -> None:
    """The libraries and the activity templates, which every instance has."""
    database = Database(url, application_name="tournee reference data")
    try:
        async with database.transaction() as session:
            await reference.load(session)
    finally:
        await database.close()


async def _introduce(url: str, settings: Settings) -> None:
    """Make the instance and its key known to its own national view, which it feeds."""
    signer = Signer.from_secret(settings.signing_secret)
    database = Database(url, application_name="tournee registry")
    try:
        await registry.register_own(database, settings, signer.public_key)
    finally:
        await database.close()


@asynccontextmanager
async def opened(name: str, settings: Settings, server_url: str) -> AsyncIterator[Service]:
    """The service's database and bus, closed after the block."""
    secret, instance = settings.secret, settings.instance
    async with AsyncExitStack() as stack:
        database = Database(
            service_url(server_url, instance, name, secret), application_name=f"tournee {name}"
        )
        stack.push_async_callback(database.close)
        bus = PostgresBus(bus_url(_bus_server(server_url, settings), instance, name, secret))
        stack.push_async_callback(bus.close)
        bridge = _bridge(settings, server_url) if name == "exporter" else None
        if bridge is not None:
            stack.push_async_callback(bridge.close)
        yield Service(name, settings, database, bus, bridge)


def _bridge(settings: Settings, server_url: str) -> Bridge | None:
    """The way to the national bus; None for an instance that feeds its own national view."""
    if settings.national_bus_url is None:
        return None
    url = bus_url(_bus_server(server_url, settings), settings.instance, "bridge", settings.secret)
    streams = tuple(topics.federated(settings.instance).values())
    return Bridge(PostgresBus(url), _national_bus(settings.national_bus_url), streams)


def _national_bus(url: str) -> Bus:
    """The national bus, with the credentials that the national instance gave."""
    if url.startswith("kafka:"):
        raise BadSettings("NATIONAL_BUS_URL : Kafka n’est pas encore pris en charge.")
    return PostgresBus(url)


@asynccontextmanager
async def running(app: FastAPI, ending: Ending) -> AsyncIterator[None]:
    """The application's loops run during the block, and the upkeep of the logs that its service writes."""
    service: Service = app.state.service
    app.state.on_crash, app.state.ending = ending.crash, ending.event
    streams = topics.streams(service.settings.instance)
    written = [topic for topic in streams if topic.writer == service.name]
    assert isinstance(service.bus, PostgresBus)
    upkeep = {f"{service.name}: compaction": partial(service.bus.run_compaction, written)} if written else {}
    if service.bridge is not None and isinstance(service.bridge.target, PostgresBus):
        # What the instance writes there is its own to compact there too.
        upkeep["bridge: compaction"] = partial(service.bridge.target.run_compaction, service.bridge.topics)
    async with Loops(upkeep, lambda: ending.crash).running(), app.router.lifespan_context(app):
        yield


def create(service: Service) -> FastAPI:
    """The application of `service`, made by its own `main`."""
    app = importlib.import_module(f"services.{service.name}.main").create(service)
    assert isinstance(app, FastAPI)
    return app


async def serve(app: ASGIApp, address: socket.socket, ending: Ending, ready: Ready | None = None) -> None:
    """Answer on `address` until the end is asked for, then finish the requests under way.

    `ready` runs beside it, once requests are answered; what it raises ends the process.
    """
    server = _web_server(app)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[address]), name="web")
        await server.answering.wait()
        ending.started()
        beside = group.create_task(ready(), name="ready") if ready is not None else None
        await ending.event.wait()
        if beside is not None:
            beside.cancel()
        server.should_exit = True
        await serving


def _web_server(app: ASGIApp) -> "_Server":
    """Its signals, logs and lifespans are looked after by whoever runs it."""
    # What lives since the start lives for ever: the collector needn't look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    config = uvicorn.Config(
        app,
        http="httptools",
        lifespan="off",
        log_config=None,
        # Its own access log would write tokens; libs.web.logs masks them.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    return _Server(config)


def listening_socket(settings: Settings) -> socket.socket:
    """The address that the instance will answer on, taken before anything else is started."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    taken = socket.socket(family)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((settings.host, settings.port))
    except OSError as error:
        taken.close()
        raise BadSettings(
            f"HOST, PORT : {settings.host}:{settings.port} ne peut pas être pris ({error.strerror})."
        ) from error
    return taken


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The runner stops more than the web server, so signals are its own."""
        yield


def server_database(url: str) -> str:
    """The server's address with a database to connect to: `postgres` unless the address names one."""
    parts = urlsplit(url)
    path = parts.path if parts.path.strip("/") else "/postgres"
    return parts._replace(scheme="postgresql", path=path).geturl()


def of_national(settings: Settings) -> Settings:
    """The settings of a national service that runs by itself: its bus is the one that all bridges lead to.

    In an instance's own process NATIONAL_BUS_URL is its bridge's, and its national view reads its own bus.
    """
    if settings.national_bus_url is None:
        return settings
    return settings.model_copy(update={"bus_url": settings.national_bus_url, "national_bus_url": None})


def calendar_domain(settings: Settings) -> str:
    """What follows the @ of this instance's calendar identifiers, for ever."""
    return settings.calendar_domain or f"{settings.instance}.tournee.internal"


def _bus_server(server_url: str, settings: Settings) -> str:
    if settings.bus_url is None:
        return server_url
    if settings.bus_url.startswith("kafka:"):
        raise BadSettings(
            "BUS_URL : Kafka n’est pas encore pris en charge; donnez une adresse postgresql://."
        )
    return server_database(settings.bus_url)
