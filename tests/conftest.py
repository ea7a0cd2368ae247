"""One Redis server for the session, emptied for every test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import hypothesis
import pytest
import redis

from notifier.store import keys
from tests.support.processes import RedisServer

# No test depends on how fast the machine is.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of our own: the embedded one, or the one that NOTIFIER_TEST_REDIS_SERVER names."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> Iterator[str]:
    """The URL of an empty database, in which no key may be left that neither expires nor is meant to stay."""
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        client.flushall()
        yield redis_server.url
        leaks = [
            key
            for key in client.scan_iter(count=1000)
            if client.ttl(key) == -1 and not any(fnmatchcase(key, form) for form in keys.PERMANENT)
        ]
    assert leaks == []


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the environment's settings and any ``.env`` from the tests."""
    monkeypatch.chdir(tmp_path)
