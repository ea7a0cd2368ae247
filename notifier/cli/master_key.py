"""``rotate-master-key``: encrypting secrets again with the new master key."""
# ruff: noqa: PLC0415 - each command loads only what it needs

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from notifier.cli.console import fail

if TYPE_CHECKING:
    from notifier.store import Resealed


def rotate_master_key() -> None:
    """Encrypt every stored secret with a new master key.

    The new key is the first of NOTIFIER_MASTER_KEYS. Workers may keep running.
    """
    import asyncio

    key_id, done = asyncio.run(_reseal())
    typer.echo(f"Encrypted with {key_id!r}: {done.endpoints} endpoints, {done.answers} stored answers.")
    typer.echo(
        "In use: " + (", ".join(f"{each!r} ({n})" for each, n in sorted(done.in_use.items())) or "none")
    )
    if done.left:
        fail(f"{done.left} endpoints kept changing and were left out; run this again")
    if done.in_use.keys() - {key_id}:
        fail("something was encrypted with an old key in the meantime: a process still lacks the new keys")


async def _reseal() -> tuple[str, Resealed]:
    from notifier.cli.database import with_database
    from notifier.config import load_settings
    from notifier.runtime import open_runtime

    async with with_database(load_settings()) as settings, open_runtime(settings) as runtime:
        return runtime.secrets.current, await runtime.store.resealing.reseal(runtime.secrets)
