"""The wiring of `national`."""

from fastapi import FastAPI

from libs.web.app import Service, create_app

PACKAGE = "services.national"


def create(service: Service) -> FastAPI:
    """The application of this service; nothing opens before its lifespan starts."""
    return create_app(service, package=PACKAGE, routers=[])
