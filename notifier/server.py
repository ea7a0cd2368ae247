"""The top of HTTP: mounts the applications, and adds the routes that belong to none."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from aiohttp import web

from notifier.api import app as api
from notifier.api import health
from notifier.api.handling import route_of
from notifier.api.openapi import openapi_document
from notifier.api.operations import VERSION, Operation
from notifier.http.access import PUBLIC
from notifier.http.limits import MAX_BODY_BYTES
from notifier.http.media import JSON
from notifier.http.options import answer_server_wide
from notifier.http.problems import problems
from notifier.http.reply import Reply, respond
from notifier.http.routes import RUNTIME, Route, add_routes
from notifier.runtime import Runtime

DOCUMENT: Final = "/openapi.json"
DESCRIBED: Final[tuple[Operation, ...]] = (*api.OPERATIONS, *health.OPERATIONS)
"""What the OpenAPI document describes."""


def create_server(runtime: Runtime) -> web.Application:
    """Build everything that is served around a runtime, which its caller opens and closes.

    The applications have their own refusals and say who may come in. What is at no path at all, or cannot be
    met before there is a route, is refused by the server on whose connections this runs.
    """
    methods = {operation.method for operation in DESCRIBED}
    app = web.Application(middlewares=[answer_server_wide(sorted(methods))], client_max_size=MAX_BODY_BYTES)
    app[RUNTIME] = runtime
    add_routes(app, [*map(route_of, health.OPERATIONS), _document_route()], refuse=problems)
    app.add_subapp(VERSION, api.create_api(runtime))
    return app


def _document_route() -> Route:
    """Return the route of the OpenAPI document, which is the same for as long as the process runs."""
    body = openapi_document(DESCRIBED)
    document = Reply.content(
        body, JSON, etag=f'"{sha256(body).hexdigest()[:32]}"', headers={"Cache-Control": "no-cache"}
    )

    async def get_document(request: web.Request) -> web.StreamResponse:
        return await respond(request, document.unless_held(request.if_none_match))

    return Route(method="GET", path=DOCUMENT, handler=get_document, access=PUBLIC)
