"""Plain Starlette routes, which are asked before FastAPI: for the few addresses that thousands call at once.

FastAPI's layers, its nested routers and its dependencies cost more than such a route's own work.
"""

from collections.abc import Iterator, Sequence

from fastapi import APIRouter
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send


def plain_routes(router: APIRouter) -> Iterator[Route]:
    """What was added by `router.add_route(path, endpoint, methods=[…])`; `path` is the whole address."""
    # FastAPI's own routes are a subclass.
    return (route for route in router.routes if type(route) is Route)


class DirectRoutes:
    """The first of `routes` that fits address and method answers, else `otherwise`.

    What an endpoint raises is answered by the shell around this: `Problem` (also `problems.malformed`),
    `HTTPException`, and the rest as 500 or 503. The right address with a wrong method is left to
    `otherwise`, which knows what else answers there.
    """

    def __init__(self, routes: Sequence[Route], *, otherwise: ASGIApp) -> None:
        self.routes = routes
        self.otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route in self.routes:
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope["route"] = route
                    scope.update(found)
                    await route.handle(scope, receive, send)
                    return
        await self.otherwise(scope, receive, send)
