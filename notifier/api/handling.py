"""From a request to an operation's reply: read, check, call, write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from notifier.api.bodies import Document, Query, check_body, check_query, read_document
from notifier.api.idempotency import REPLAYED, answer_once, fingerprint, read_key
from notifier.api.operations import RUNTIME, Call, Operation, Reply
from notifier.api.preconditions import read_if_match
from notifier.http.media import MERGE_PATCH


def handler_of(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the aiohttp handler of an operation; it answers a POST with an ``Idempotency-Key`` once."""

    async def handle(request: web.Request) -> web.StreamResponse:
        document = await read_document(request, operation.body_types) if operation.body else {}
        call = _checked(operation, request, document)
        key = read_key(request) if operation.method == "POST" else None
        if key is None:
            return _response(operation, await operation.handler(call))
        mark = fingerprint(request.method, request.path, document)
        reply, replayed = await answer_once(
            call.runtime, key, mark, status=operation.status, make=lambda: operation.handler(call)
        )
        response = _response(operation, reply)
        if replayed:
            response.headers[REPLAYED] = "true"
        return response

    return handle


def _checked(operation: Operation, request: web.Request, document: Document) -> Call[object, object]:
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
    if operation.needs_key:
        check_query(Query, request)
    return None


def _response(operation: Operation, reply: Reply) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if reply.body:
        headers["Content-Type"] = reply.content_type
    if reply.location:
        headers["Location"] = reply.location
    if reply.etag:
        headers["ETag"] = reply.etag
    return web.Response(status=operation.status, body=reply.body, headers=headers)
