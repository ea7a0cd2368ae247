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
    """Who may come in by a route: what they show, and which scope it needs; None for any."""

    kind: AccessKind
    scope: Scope | None = None


PUBLIC: Final = Access(AccessKind.PUBLIC)
ANY_KEY: Final = Access(AccessKind.KEY)


def key(scope: Scope) -> Access:
    """Return the access of those whose API key has a scope, shown as a bearer token."""
    return Access(AccessKind.KEY, scope)


Gate: TypeAlias = Callable[[web.Request, Runtime, Scope | None], Awaitable[None]]
"""Lets a request through, or raises one of our errors."""


async def _let_in(_request: web.Request, _runtime: Runtime, _scope: Scope | None) -> None:
    """Let anybody through."""


async def _check_key(request: web.Request, runtime: Runtime, scope: Scope | None) -> None:
    presented = _bearer_token(request)
    now, kept = runtime.clock(), await runtime.admin_key()
    if kept is None or not kept.matches(presented) or kept.has_expired(now=now):
        raise UnknownKeyError("This key is not known.")
    if scope is not None and not kept.permits(scope, now=now):
        raise ForbiddenError(f"This needs a key with the scope {scope}.")


GATES: Final[Mapping[AccessKind, Gate]] = {AccessKind.PUBLIC: _let_in, AccessKind.KEY: _check_key}


async def admit(request: web.Request, runtime: Runtime, access: Access) -> None:
    """Let a request through.

    Raises:
        UnauthorizedError: It does not show what it has to.
        ForbiddenError: What it shows does not go so far.
        UnavailableError: Redis does not answer, and so it cannot be known.
    """
    await GATES[access.kind](request, runtime, access.scope)


def _bearer_token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorizedError("Send the admin key as 'Authorization: Bearer <key>'.")
    return token.strip()
