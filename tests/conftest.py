"""One Redis server for the session, emptied for every test that uses it."""

from __future__ import annotations

import contextlib
import gc
import math
import os
from collections.abc import Generator, Iterator
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
WORKERS_PER_CORE: Final = 1.5
"""Many tests wait for processes and for time to pass; unit tests do not, and have one on each core."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", f"{BREAKS_KEYS}(reason): leaves keys behind that must not be there")
    config.addinivalue_line(
        "markers", "server: may behave differently on another server than the embedded one"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return the number of test processes, unless the environment sets it."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    is_waiting = not all("unit" in Path(argument).parts for argument in config.args)
    return math.ceil((WORKERS_PER_CORE if is_waiting else 1) * (os.cpu_count() or 1))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure no coverage in property tests, which would take several times as long."""
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Measure no coverage in the fixtures of a test marked so; pytest-cov leaves out only the test itself."""
    plugin = item.config.pluginmanager.get_plugin("_cov")
    coverage = getattr(plugin, "cov_controller", None)
    if coverage is None or item.get_closest_marker("no_cover") is None:
        yield
        return
    coverage.pause()
    try:
        yield
    finally:
        coverage.resume()


def pytest_collection_finish() -> None:
    """Exempt what was imported and collected from the search for garbage, which would visit it each time."""
    gc.freeze()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server of the session: the embedded one, or the one that NOTIFIER_TEST_REDIS_SERVER names.

    Its URL is that of a local socket, which costs a third less than TCP; the servers that a test starts by
    itself are reached by TCP.
    """
    directory = tmp_path_factory.mktemp("redis")
    with RedisServer(directory, options={"unixsocket": str(directory / "socket")}) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database.

    A test must leave neither unknown or unexpiring keys nor connections to the server.
    """
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        client.flushall()
        yield redis_server.url
        assert clients_left(client) == []
    if request.node.get_closest_marker(BREAKS_KEYS) is None:
        assert stray_keys(redis_server.url) == []


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide any ``.env`` from the tests: they run in an empty directory, or in their own ``tmp_path``."""
    with contextlib.chdir(tmp_path_factory.mktemp("nowhere")):
        yield


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """The test's own directory, which is the current one."""
    with contextlib.chdir(tmp_path):
        yield tmp_path
