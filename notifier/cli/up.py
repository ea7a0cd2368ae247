"""What ``up`` and ``api`` do until they are stopped."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, TypeAlias

import structlog

from notifier.cli.console import output
from notifier.cli.serving import for_ever
from notifier.cli.stack import all_in_one, serve_api
from notifier.config import load_settings
from notifier.runtime import Runtime, make_admin_key, report_concerns
from notifier.telemetry import configure_logging

Source: TypeAlias = AbstractAsyncContextManager[Mapping[str, str]]

NO_OVERRIDES: Final[Mapping[str, str]] = {}

log = structlog.get_logger(__name__)


async def run_up(*, workers: int, source: Source | None = None) -> None:
    """Run all in one until cancelled.

    Args:
        workers: The number of worker processes.
        source: Yields the settings that make it the source, and runs as long as everything else.
    """
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    async with (
        source or nullcontext(NO_OVERRIDES) as overrides,
        all_in_one(overrides, workers=workers) as running,
    ):
        await report_concerns(running.runtime.store)
        await _show_admin_key(running.runtime)
        if running.runtime.settings.x_bearer_token is None:
            log.warning("not_observing", reason="nothing is observed until NOTIFIER_X_BEARER_TOKEN is set")
        await running.ready()
        log.info("ready", url=running.url)
        await for_ever()


async def run_api() -> None:
    """Run one API process until cancelled."""
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    async with serve_api(settings) as runtime:
        await report_concerns(runtime.store)
        await _show_admin_key(runtime)
        log.info("serving", url=runtime.settings.base_url)
        await for_ever()


async def _show_admin_key(runtime: Runtime) -> None:
    """Show the key that the first start creates, once."""
    key = await make_admin_key(runtime)
    if key is None:
        return
    console = output()
    console.print("\n[bold]The admin key, shown only once; only its hash is stored:[/bold]\n")
    console.print(f"    {key}\n", markup=False, soft_wrap=True)
    console.print("Use it as NOTIFIER_ADMIN_KEY or as a bearer token.\n")
