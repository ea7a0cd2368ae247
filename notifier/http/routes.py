"""Routes: methods of paths, each of which says who may come in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from notifier.http.access import GATES, Access
from notifier.http.options import OPTIONS, options_handler
from notifier.http.problems import Handler
from notifier.runtime import Runtime

RUNTIME: Final[web.AppKey[Runtime]] = web.AppKey("RUNTIME", Runtime)
"""Where each application keeps what it works with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path, and who may come in by it."""

    method: str
    path: str
    handler: Handler
    access: Access


def add_routes(app: web.Application, routes: Iterable[Route], *, refuse: Middleware | None = None) -> None:
    """Add routes to an application, with HEAD for each GET, and OPTIONS for each path without a key.

    Args:
        app: An application with a runtime.
        routes: What is added.
        refuse: Writes the failures of these routes, where no middleware of the application does.
    """
    by_path: dict[str, dict[str, Handler]] = {}
    for route in routes:
        handler = _guarded(route)
        by_path.setdefault(route.path, {})[route.method] = (
            partial(refuse, handler=handler) if refuse else handler
        )
    for path, handlers in by_path.items():
        resource = app.router.add_resource(path)
        for method, handler in handlers.items():
            resource.add_route(method, handler)
        if "GET" in handlers:
            resource.add_route("HEAD", handlers["GET"])
        # The same information is in the OpenAPI document, which needs no key either.
        resource.add_route(OPTIONS, options_handler(list(handlers)))


def _guarded(route: Route) -> Handler:
    gate, scope, handler = GATES[route.access.kind], route.access.scope, route.handler

    async def handle(request: web.Request) -> web.StreamResponse:
        await gate(request, request.app[RUNTIME], scope)
        return await handler(request)

    return handle
