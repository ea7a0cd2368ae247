"""The admin API as one aiohttp application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from notifier.api import (
    deliveries,
    endpoint_actions,
    endpoint_stats,
    endpoints,
    event_types,
    events,
    health,
    recoveries,
    source,
    spaces,
    system,
    watches,
)
from notifier.api.auth import authenticate
from notifier.api.bodies import MAX_BODY_BYTES
from notifier.api.handling import handler_of
from notifier.api.openapi import openapi_document
from notifier.api.operations import RUNTIME, Operation
from notifier.http.media import JSON
from notifier.http.options import OPTIONS, answer_server_wide, options_handler
from notifier.http.problems import Handler, problems
from notifier.runtime import Runtime

OPERATIONS: Final[tuple[Operation, ...]] = (
    *watches.OPERATIONS,
    *spaces.OPERATIONS,
    *endpoints.OPERATIONS,
    *endpoint_actions.OPERATIONS,
    *recoveries.OPERATIONS,
    *endpoint_stats.OPERATIONS,
    *events.OPERATIONS,
    *deliveries.OPERATIONS,
    *event_types.OPERATIONS,
    *source.OPERATIONS,
    *system.OPERATIONS,
    *health.OPERATIONS,
)


def create_app(runtime: Runtime) -> web.Application:
    """Build the application around a runtime, which its caller opens and closes."""
    document = openapi_document(OPERATIONS)

    async def get_document(_request: web.Request) -> web.Response:
        return web.Response(body=document, content_type=JSON)

    handlers: dict[str, dict[str, Handler]] = {"/openapi.json": {"GET": get_document}}
    for operation in OPERATIONS:
        handlers.setdefault(operation.path, {})[operation.method] = handler_of(operation)
    methods = {method for each in handlers.values() for method in each}
    app = web.Application(
        middlewares=[problems, answer_server_wide(sorted(methods)), authenticate],
        client_max_size=MAX_BODY_BYTES,
    )
    app[RUNTIME] = runtime
    for path, by_method in handlers.items():
        _add_routes(app, path, by_method)
    return app


def _add_routes(app: web.Application, path: str, handlers: Mapping[str, Handler]) -> None:
    resource = app.router.add_resource(path)
    for method, handler in handlers.items():
        resource.add_route(method, handler)
    if "GET" in handlers:
        resource.add_route("HEAD", handlers["GET"])
    resource.add_route(OPTIONS, options_handler(list(handlers)))
