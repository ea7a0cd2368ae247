"""Who may call: everything under ``/v1`` needs the admin key as a bearer token."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from aiohttp import web

from notifier.api.operations import RUNTIME, is_protected
from notifier.errors import UnauthorizedError
from notifier.http.options import OPTIONS
from notifier.http.problems import Handler, problem_response
from notifier.runtime import Runtime

REALM: Final = 'Bearer realm="space-notifier"'


def hash_key(key: str) -> str:
    """Return the SHA-256 of an API key as hex, the only form in which keys are stored.

    Keys are random and long, so a slow password hash would add nothing but time to each call.
    """
    # surrogateescape: how header bytes that are not UTF-8 arrive
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a call under ``/v1`` through only with the admin key; unknown paths there are no exception.

    ``OPTIONS`` of a path that exists says no more than the OpenAPI document, which needs no key either.
    """
    resource = request.match_info.route.resource
    if resource is not None and request.method == OPTIONS:
        return await handler(request)
    # By the route that was found where there is one, so that no spelling of a path slips past the rule.
    if not is_protected(resource.canonical if resource else request.path):
        return await handler(request)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        error = UnauthorizedError("Send the admin key as 'Authorization: Bearer <key>'.")
        return problem_response(error, {"WWW-Authenticate": REALM})
    expected = await _expected_hash(request.app[RUNTIME])
    if expected is None or not hmac.compare_digest(hash_key(token.strip()), expected):
        error = UnauthorizedError("This key is not known.")
        return problem_response(error, {"WWW-Authenticate": f'{REALM}, error="invalid_token"'})
    return await handler(request)


async def _expected_hash(runtime: Runtime) -> str | None:
    """Return the hash of the one key: from the setting, else from the first start."""
    if runtime.settings.admin_key is not None:
        return hash_key(runtime.settings.admin_key.get_secret_value())
    return await runtime.store.admin_keys.admin_hash()
