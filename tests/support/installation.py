"""A whole installation in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from notifier.cli.stack import Stack, all_in_one
from notifier.telemetry import configure_logging
from tests.support.logs import logging_as_before
from tests.support.worker import running_worker

KEY: Final = "a-key-for-tests"
SETTINGS: Final = {
    "port": "0",
    "admin_key": KEY,
    "allow_http": "true",
    "allowed_networks": "127.0.0.0/8",
}


@asynccontextmanager
async def installation(directory: Path) -> AsyncIterator[Stack]:
    """Run what ``up`` runs in ``directory``, with its worker in this event loop."""
    overrides = {**SETTINGS, "data_dir": str(directory / "data")}
    with logging_as_before():
        configure_logging("console", "WARNING")
        async with all_in_one(overrides, workers=0) as stack, running_worker(stack.runtime.settings):
            await stack.ready()
            yield stack
