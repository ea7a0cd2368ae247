"""From a request to an operation's reply: read, check, call, write."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from notifier.api.bodies import Document, Query, check_body, check_query, read_document
from notifier.api.idempotency import REPLAYED, answer_once, fingerprint, read_key
from notifier.api.operations import Call, Operation
from notifier.api.preconditions import read_if_match
from notifier.http.media import MERGE_PATCH
from notifier.http.problems import Handler
from notifier.http.reply import respond
from notifier.http.routes import RUNTIME, Route


def route_of(operation: Operation, *, below: str = "") -> Route:
    """Return the route of an operation in an application that is mounted under the path ``below``."""
    return Route(
        method=operation.method,
        path=operation.path.removeprefix(below),
        handler=_handler_of(operation),
        access=operation.access,
    )


def _handler_of(operation: Operation) -> Handler:
    """Return the aiohttp handler of an operation; it answers a POST with an ``Idempotency-Key`` once."""

    async def handle(request: web.Request) -> web.StreamResponse:
        document = await read_document(request, operation.body_types) if operation.body else {}
        call = _checked(operation, request, document)
        key = read_key(request) if operation.method == "POST" else None
        if key is None:
            return await respond(request, await operation.handler(call), status=operation.status)
        mark = fingerprint(request.method, request.path, document)
        reply, replayed = await answer_once(
            call.runtime, key, mark, status=operation.status, make=lambda: operation.handler(call)
        )
        response = await respond(request, reply, status=operation.status)
        if replayed:
            response.headers[REPLAYED] = "true"
        return response

    return handle


def _checked(operation: Operation, request: web.Request, document: Document) -> Call[Any, Any]:
    query = _query(operation, request)
    merges = operation.body is not None and request.content_type == MERGE_PATCH
    return Call(
        runtime=request.app[RUNTIME],
        path=dict(request.match_info),
        body=check_body(operation.body, document) if operation.body and not merges else None,
        query=query,
        resource=request.path,
        if_match=read_if_match(request) if operation.takes_if_match else None,
        merge=document if merges else None,
    )


def _query(operation: Operation, request: web.Request) -> Query | None:
    """Check the query string; an operation that takes no parameters refuses each.

    What monitors ask for without a key is answered whatever they add, be it only against a cache.
    """
    if operation.query is not None:
        return check_query(operation.query, request)
    if not operation.is_public:
        check_query(Query, request)
    return None
