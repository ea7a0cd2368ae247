"""What the tests of whole processes share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.processes import NotifierProcess, free_port
from tests.support.terminal import KEY, Terminal


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    """A terminal beside an installation of its own."""
    port = free_port()
    settings = {
        "PORT": str(port),
        "ADMIN_KEY": KEY,
        "ALLOW_HTTP": "true",
        "ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    with NotifierProcess("up", directory=tmp_path, settings=settings) as up:
        await up.wait_for("ready")
        yield Terminal(tmp_path, port)
