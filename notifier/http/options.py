"""``OPTIONS``: the methods of a path, without a key.

No CORS headers go out, here or elsewhere: the API is for servers. A page in a browser that held an admin key
would show it to everybody who opens the page, so browsers are left to refuse calls from other origins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from notifier.http.media import PATCH_TYPES
from notifier.http.problems import Handler

OPTIONS: Final = "OPTIONS"
SERVER_WIDE: Final = "*"
"""The request target that asks about the server as a whole (RFC 9112, 3.2.4)."""


def options_handler(methods: Sequence[str]) -> Handler:
    """Return the handler that says which methods a path has; a GET brings HEAD along."""
    allowed = sorted({*methods, OPTIONS, *(["HEAD"] if "GET" in methods else [])})
    headers = {"Allow": ", ".join(allowed), "Cache-Control": "no-store"}
    if "PATCH" in methods:
        headers["Accept-Patch"] = ", ".join(PATCH_TYPES)  # RFC 5789, 3.1

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=204, headers=headers)

    return answer


def answer_server_wide(methods: Sequence[str]) -> Middleware:
    """Return the middleware that answers ``OPTIONS *``, which no route can."""
    answer = options_handler(methods)

    @web.middleware
    async def server_wide(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == OPTIONS and request.path == SERVER_WIDE:
            return await answer(request)
        return await handler(request)

    return server_wide
