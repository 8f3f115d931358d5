"""The wiring of `national`."""

from collections.abc import Mapping

from fastapi import FastAPI

from libs.web.app import Service, create_app
from services.national import (
    api,
    api_equity,
    api_indicators,
    api_registry,
    generations,
    pages,
    queries,
)
from services.national.consumer import Consumers
from services.national.housekeeping import Housekeeping
from services.national.replaying import Replay
from services.national.snapshots import Keeper
from services.national.watching import Changes

PACKAGE = "services.national"

ROUTERS = (api.router, api_registry.router, api_indicators.router, api_equity.router, pages.router)
"""Everything that this service answers."""


def create(service: Service) -> FastAPI:
    """The application of this service; nothing opens before its lifespan starts. It announces nothing."""
    consumers = Consumers(service.database, service.bus)
    housekeeping = Housekeeping(service.database, service.bus)

    async def health() -> Mapping[str, object]:
        async with service.database.reading() as session:
            figures = await queries.health(session)
            number = await generations.serving(session)
        return {**figures, "lag": await generations.lag(service.bus, number)}

    app = create_app(
        service,
        package=PACKAGE,
        routers=ROUTERS,
        loops={
            "consume": consumers.run,
            "replay": Replay(service.database).run,
            "generations": housekeeping.generations,
            "tidy": housekeeping.tidy,
            "texts": housekeeping.texts,
            "snapshots": Keeper(service.database).run,
        },
        health=health,
    )
    app.state.changes = Changes(service.database)
    return app
