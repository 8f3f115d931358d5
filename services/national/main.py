"""The wiring of `national`."""

from fastapi import FastAPI

from libs.web.app import Service, create_app
from services.national import api_indicators, pages
from services.national.snapshots import Keeper
from services.national.watching import Changes

PACKAGE = "services.national"


def create(service: Service) -> FastAPI:
    """The application of this service; nothing opens before its lifespan starts."""
    app = create_app(
        service,
        package=PACKAGE,
        routers=[api_indicators.router, pages.router],
        loops={"snapshots": Keeper(service.database).run},
    )
    app.state.changes = Changes(service.database)
    return app
