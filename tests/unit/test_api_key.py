"""The permissions and the expiry of a key."""

from __future__ import annotations

import hashlib

import pytest

from notifier.core.model.api_key import ApiKey, Scope, hash_key

NOW = 1_700_000_000.0


def key(*scopes: Scope, expires_at: float | None = None) -> ApiKey:
    return ApiKey(hash_key("snk_one"), frozenset(scopes), expires_at)


def permitted(*scopes: Scope) -> set[Scope]:
    return {needed for needed in Scope if key(*scopes).permits(needed, now=NOW)}


def test_admin_may_do_everything() -> None:
    assert permitted(Scope.ADMIN) == set(Scope)


def test_read_may_read_everything_and_change_nothing() -> None:
    assert permitted(Scope.READ) == {Scope.READ, *(scope for scope in Scope if scope.endswith(":read"))}


def test_a_resource_scope_grants_only_that_resource() -> None:
    assert permitted(Scope.WATCHES_READ) == {Scope.WATCHES_READ}
    assert permitted(Scope.EVENTS_READ, Scope.SPACES_READ) == {Scope.EVENTS_READ, Scope.SPACES_READ}


def test_a_write_scope_includes_reading() -> None:
    assert permitted(Scope.ENDPOINTS_WRITE) == {Scope.ENDPOINTS_WRITE, Scope.ENDPOINTS_READ}


def test_a_key_without_scopes_may_do_nothing() -> None:
    assert permitted() == set()


@pytest.mark.parametrize(("after", "good"), [(-0.001, True), (0.0, False), (1.0, False)])
def test_an_expired_key_may_do_nothing(after: float, *, good: bool) -> None:
    short_lived = key(Scope.ADMIN, expires_at=NOW)
    assert short_lived.has_expired(now=NOW + after) is not good
    assert short_lived.permits(Scope.WATCHES_READ, now=NOW + after) is good


@pytest.mark.parametrize("presented", ["", "snk_on", "snk_one ", "SNK_ONE", "snk_\udce9ne"])
def test_only_the_key_itself_matches(presented: str) -> None:
    assert key().matches("snk_one")
    assert not key().matches(presented)


def test_the_hash_is_sha_256_of_the_bytes_in_the_header() -> None:
    assert hash_key("snk_one") == hashlib.sha256(b"snk_one").hexdigest()
    assert hash_key("snk_\udce9") == hashlib.sha256(b"snk_\xe9").hexdigest()
