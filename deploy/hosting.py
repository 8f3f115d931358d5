"""Opening services for a runner: their databases and bus before they run, everything closed after."""

import asyncio
import gc
import importlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import asyncpg
import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp

from deploy.buses import open_bus, open_national_bus, provision_streams, server_database
from deploy.ending import Ending
from deploy.one_piece import OnePieceProtocol
from libs.database import Database, is_unavailable, provision, service_url
from libs.messaging import topics
from libs.messaging.bridge import Bridge
from libs.messaging.signing import Signer
from libs.migrations import is_migrated, migrate
from libs.settings import BadSettings, Settings
from libs.web.app import Service
from libs.web.loops import Loops
from services.events import reference
from services.national.registry import register_own

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
        said = _as_the_server_says(error)
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
        if settings.signing_key is not None:
            await _introduce(urls["national"], settings, settings.signing_key.get_secret_value())
        await provision_streams(server_url, settings, topics.streams(settings.instance))
    finally:
        await guard.close()


async def _introduce(url: str, settings: Settings, signing_key: str) -> None:
    """Make the instance known to its own national view, which shows at least what the instance says."""
    database = Database(url, application_name="tournee registry")
    try:
        await register_own(database, settings, Signer.from_secret(signing_key).public_key)
    finally:
        await database.close()


async def check_prepared(name: str, settings: Settings, server_url: str) -> None:
    """See that somebody with the administrator's rights has done `prepare` for this release.

    Raises `BadSettings` when the databases are missing or older than this release.
    """
    url = service_url(server_url, settings.instance, name, settings.secret)
    try:
        prepared = await is_migrated(url, f"services.{name}")
    except _CANNOT_SERVE as error:
        text = (
            f"DATABASE_URL : la base de données de {name} ne peut pas servir ({_as_the_server_says(error)})."
        )
        # While the server is away, only waiting helps.
        if not is_unavailable(error):
            text += " Son adresse est sans administrateur : lancez d’abord python -m deploy.prepare."
        raise BadSettings(text) from error
    if not prepared:
        raise BadSettings(
            f"La base de données de {name} n’est pas à jour : lancez d’abord python -m deploy.prepare."
        )


def _as_the_server_says(error: BaseException) -> object:
    """The migrations speak through SQLAlchemy, which puts words of its own around the server's."""
    return error.orig if isinstance(error, DBAPIError) else error


async def _load_reference(url: str) -> None:
    """The libraries and the activity templates, which every instance has."""
    database = Database(url, application_name="tournee reference data")
    try:
        async with database.transaction() as session:
            await reference.load(session)
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
        bus = open_bus(name, settings, server_url)
        stack.push_async_callback(bus.close)
        bridge = _bridge(settings, server_url) if name == "exporter" else None
        if bridge is not None:
            stack.push_async_callback(bridge.close)
        yield Service(name, settings, database, bus, bridge)


def _bridge(settings: Settings, server_url: str) -> Bridge | None:
    """The way to the national bus; None for an instance that feeds its own national view."""
    if settings.national_bus_url is None:
        return None
    streams = tuple(topics.federated(settings.instance).values())
    target = open_national_bus(settings.national_bus_url, settings.instance)
    return Bridge(open_bus("bridge", settings, server_url), target, streams)


@asynccontextmanager
async def running(app: FastAPI, ending: Ending) -> AsyncIterator[None]:
    """The application's loops run during the block, and the upkeep of the logs that its service writes."""
    service: Service = app.state.service
    app.state.on_crash, app.state.ending = ending.crash, ending.event
    app.state.health.is_leaving = lambda: ending.leaving
    streams = topics.streams(service.settings.instance)
    written = [topic for topic in streams if topic.writer == service.name]
    upkeep = {f"{service.name}: compaction": partial(service.bus.run_compaction, written)} if written else {}
    if service.bridge is not None:
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
    server = web_server(app)
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


def web_server(app: ASGIApp) -> "Server":
    """Its signals, logs and lifespans are looked after by whoever runs it."""
    # What lives since the start lives for ever: the collector needn't look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    config = uvicorn.Config(
        app,
        http=OnePieceProtocol,
        lifespan="off",
        log_config=None,
        # Its own access log would write tokens; libs.web.logs masks them.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    return Server(config)


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


class Server(uvicorn.Server):
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


def given_server(settings: Settings) -> str:
    """The server that DATABASE_URL names, which processes of their own can't do without."""
    if settings.database_url is None:
        raise BadSettings("DATABASE_URL : l’adresse du serveur PostgreSQL manque.")
    return server_database(settings.database_url)


def calendar_domain(settings: Settings) -> str:
    """What follows the @ of this instance's calendar identifiers, for ever."""
    return settings.uid_domain
