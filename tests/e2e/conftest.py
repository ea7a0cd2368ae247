"""Fixtures for tests of whole processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.processes import NotifierProcess, free_port
from tests.support.terminal import KEY, Terminal


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal with a running installation, shared by the tests of a module because its start is slow."""
    port = free_port()
    settings = {
        "PORT": str(port),
        "ADMIN_KEY": KEY,
        "ALLOW_HTTP": "true",
        "ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    directory = tmp_path_factory.mktemp("up")
    with NotifierProcess("up", directory=directory, settings=settings) as up:
        asyncio.run(up.wait_for("ready"))
        yield Terminal(directory, port)
