"""Who may come in, as each route says it; no rule goes by a path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from aiohttp import web

from notifier.core.model.api_key import Scope
from notifier.errors import ForbiddenError, UnauthorizedError, UnknownKeyError
from notifier.runtime import Runtime


class AccessKind(StrEnum):
    """What a caller has to show; also the name of that scheme in the OpenAPI document."""

    PUBLIC = "public"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in by a route: what they show, and which scope that needs; None for any."""

    kind: AccessKind
    scope: Scope | None = None


PUBLIC: Final = Access(AccessKind.PUBLIC)


def key(scope: Scope) -> Access:
    """Return the access of those whose API key has a scope, shown as a bearer token."""
    return Access(AccessKind.KEY, scope)


Gate: TypeAlias = Callable[[web.Request, Runtime, Scope | None], Awaitable[None]]
"""Accepts a request, or raises one of our errors for missing or insufficient credentials."""


async def _let_in(_request: web.Request, _runtime: Runtime, _scope: Scope | None) -> None:
    """Accept every request."""


async def check_key(request: web.Request, runtime: Runtime, scope: Scope | None = None) -> None:
    """Let a request through that has a good API key, with the scope where one is needed.

    Raises:
        UnauthorizedError: It has no key, or an unknown or expired one.
        ForbiddenError: The key does not have the scope.
        UnavailableError: Redis does not answer.
    """
    presented = _bearer_token(request)
    now, kept = runtime.clock(), await runtime.admin_key()
    if kept is None or not kept.matches(presented) or kept.has_expired(now=now):
        raise UnknownKeyError("This key is not known.")
    if scope is not None and not kept.permits(scope, now=now):
        raise ForbiddenError(f"This needs a key with the scope {scope}.")


GATES: Final[Mapping[AccessKind, Gate]] = {AccessKind.PUBLIC: _let_in, AccessKind.KEY: check_key}


def _bearer_token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorizedError("Send the admin key as 'Authorization: Bearer <key>'.")
    return token.strip()
