"""API keys: by which hash one is known, what it may do, and until when."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a key may do. An operation needs a scope that names a resource; the first two stand for many."""

    ADMIN = "admin"
    READ = "read"
    WATCHES_READ = "watches:read"
    WATCHES_WRITE = "watches:write"
    SPACES_READ = "spaces:read"
    ENDPOINTS_READ = "endpoints:read"
    ENDPOINTS_WRITE = "endpoints:write"
    EVENTS_READ = "events:read"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"
    SOURCE_READ = "source:read"
    SYSTEM_READ = "system:read"


def _permitting(needed: Scope) -> AbstractSet[str]:
    """Return the scopes that include another one: who may write may read the same resource."""
    resource, _, right = needed.partition(":")
    reading = {Scope.READ, f"{resource}:write"} if right == "read" else set()
    return frozenset({needed, Scope.ADMIN, *reading})


PERMITTING: Final = {scope: _permitting(scope) for scope in Scope}
"""For each scope those that include it, itself among them."""


def hash_key(key: str) -> str:
    """Return the SHA-256 of an API key as hex, the only form in which keys are stored.

    Keys are random and long, so a slow password hash would add nothing but time to each call.
    """
    # surrogateescape: how header bytes that are not UTF-8 arrive
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept; ``expires_at`` is in epoch seconds, None for never."""

    key_hash: str
    scopes: frozenset[Scope]
    expires_at: float | None = None

    def matches(self, presented: str) -> bool:
        """Return whether a caller has shown this key, in a time that does not depend on how much is right."""
        return hmac.compare_digest(hash_key(presented), self.key_hash)

    def has_expired(self, *, now: float) -> bool:
        """Return whether the key has come to its end."""
        return self.expires_at is not None and now >= self.expires_at

    def permits(self, needed: Scope, *, now: float) -> bool:
        """Return whether the key may do at this moment what needs a scope."""
        return not self.has_expired(now=now) and not self.scopes.isdisjoint(PERMITTING[needed])
