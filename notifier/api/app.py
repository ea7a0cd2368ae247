"""The admin API: its operations, and the application that is mounted under ``/v1``."""

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
    recoveries,
    source,
    spaces,
    system,
    watches,
)
from notifier.api.handling import route_of
from notifier.api.operations import VERSION, Operation
from notifier.http.access import check_key
from notifier.http.problems import Handler, problems
from notifier.http.routes import RUNTIME, add_routes
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
)


def create_api(runtime: Runtime) -> web.Application:
    """Build the application around a runtime, to be mounted under :data:`VERSION`."""
    app = web.Application(middlewares=[problems, hide_what_is_missing])
    app[RUNTIME] = runtime
    add_routes(app, [route_of(operation, below=VERSION) for operation in OPERATIONS])
    return app


@web.middleware
async def hide_what_is_missing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say only to callers with a key that there is no such path or method."""
    if request.match_info.http_exception is not None:
        await check_key(request, request.app[RUNTIME])
    return await handler(request)
