"""``rotate-master-key``: sealing again what old master keys have sealed."""
# ruff: noqa: PLC0415 - each command loads only what it needs

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from notifier.cli.console import fail

if TYPE_CHECKING:
    from notifier.store import Resealed


def rotate_master_key() -> None:
    """Encrypt every stored secret again with the first of NOTIFIER_MASTER_KEYS; workers may go on running."""
    key_id, done = asyncio.run(_reseal())
    typer.echo(f"Encrypted again with {key_id!r}: {done.endpoints} endpoints, {done.answers} kept answers.")
    typer.echo(
        "In use: " + (", ".join(f"{each!r} ({n})" for each, n in sorted(done.in_use.items())) or "none")
    )
    if done.left:
        fail(f"{done.left} endpoints were changed all the time and are left; run this again")
    if done.in_use.keys() - {key_id}:
        fail("something was encrypted with an old key meanwhile: a process has not got the new keys yet")


async def _reseal() -> tuple[str, Resealed]:
    from notifier.cli.database import with_database
    from notifier.config import load_settings
    from notifier.runtime import open_runtime

    async with with_database(load_settings()) as settings, open_runtime(settings) as runtime:
        return runtime.secrets.current, await runtime.store.resealing.reseal(runtime.secrets)
