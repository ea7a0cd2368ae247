"""The admin API as one aiohttp application."""

from __future__ import annotations

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
from notifier.api.bodies import JSON, MAX_BODY_BYTES
from notifier.api.errors import problems
from notifier.api.handling import handler_of
from notifier.api.openapi import openapi_document
from notifier.api.operations import RUNTIME, Operation
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
    app = web.Application(middlewares=[problems, authenticate], client_max_size=MAX_BODY_BYTES)
    app[RUNTIME] = runtime
    document = openapi_document(OPERATIONS)

    async def get_document(_request: web.Request) -> web.Response:
        return web.Response(body=document, content_type=JSON)

    app.router.add_get("/openapi.json", get_document)
    for operation in OPERATIONS:
        handler = handler_of(operation)
        if operation.method == "GET":
            app.router.add_get(operation.path, handler)  # answers HEAD as well
        else:
            app.router.add_route(operation.method, operation.path, handler)
    return app
