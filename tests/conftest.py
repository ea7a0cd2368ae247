"""One Redis server for the session, emptied for every test that asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis

from tests.support.examples import register_profiles
from tests.support.leaks import clients_left, stray_keys
from tests.support.processes import RedisServer

register_profiles()

# Each process that a test starts would load the certificates of the system three times, and needs none.
os.environ["SSL_CERT_FILE"] = os.devnull

BREAKS_KEYS: Final = "breaks_keys"
WORKERS_PER_CORE: Final = 2
"""Many tests wait for processes and for time to pass."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line("markers", f"{BREAKS_KEYS}(reason): leaves keys behind that must not be there")
    config.addinivalue_line("markers", "server: may end differently on another server than the embedded one")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Return how many processes run the tests, unless the environment says so."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return WORKERS_PER_CORE * (os.cpu_count() or 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have no coverage measured by property tests: they would take several times as long."""
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of our own: the embedded one, or the one that NOTIFIER_TEST_REDIS_SERVER names."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database.

    A test must leave no key there that neither expires nor is meant to stay, and no connection to the server.
    """
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        client.flushall()
        yield redis_server.url
        assert clients_left(client) == []
    if request.node.get_closest_marker(BREAKS_KEYS) is None:
        assert stray_keys(redis_server.url) == []


@pytest.fixture(scope="session")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory for the tests that ask for none of their own: making one for each takes long."""
    return tmp_path_factory.mktemp("nowhere")


@pytest.fixture(autouse=True)
def no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, nowhere: Path
) -> None:
    """Hide the environment's settings and any ``.env`` from the tests."""
    has_own = "tmp_path" in request.fixturenames
    monkeypatch.chdir(request.getfixturevalue("tmp_path") if has_own else nowhere)
