"""``doctor``: checking the database."""
# ruff: noqa: PLC0415 - the help of this command needs none of what it does

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from notifier.cli.console import FAILED, printable, report

if TYPE_CHECKING:
    from notifier.config import Settings
    from notifier.store import SecretBox, Store
    from notifier.store.doctor import Finding

KEY_BESIDE_THE_DATA: Final = "local"
"""The id of the master key that is created if none is set (docs/operating.md, "Master keys")."""


def doctor() -> None:
    """Check the whole database for inconsistencies.

    Nothing is changed, and work may go on.
    """
    import asyncio

    from notifier.config import load_settings

    found = asyncio.run(_examine(load_settings()))
    for finding in found:
        typer.echo(printable(str(finding)))
        if finding.remedy:
            typer.echo(printable(f"    {finding.remedy}"))
    if found:
        typer.echo(f"{len(found)} findings", err=True)
        raise typer.Exit(FAILED)
    typer.echo("Nothing is wrong.")


async def _examine(settings: Settings) -> list[Finding]:
    from notifier.cli.database import with_database
    from notifier.runtime import check_server
    from notifier.store import Database, Store, connect
    from notifier.store.doctor import findings

    box = _secret_box(settings)
    if box is None:
        report("there is no master key here, so signing secrets were not checked")
    async with with_database(settings) as reached:
        database = Database(connect(reached.redis_url or ""))
        try:
            store = Store(
                database, retention_days=settings.retention_days, partitions=settings.delivery_partitions
            )
            await check_server(store)
            await _report_risks(store)
            return await findings(store, box)
        finally:
            await database.close()


async def _report_risks(store: Store) -> None:
    """Print what may be intended and is no inconsistency: it does not make the command fail."""
    from notifier.store import Severity, concerns_of

    for concern in concerns_of(await store.server.read()):
        if concern.severity is not Severity.FAULT:
            report(f"{concern.name}: {concern.text}; {concern.remedy}")


def _secret_box(settings: Settings) -> SecretBox | None:
    """Return the master keys of the settings, or the one in the data directory; none is created."""
    from notifier.runtime import MASTER_KEY_FILE
    from notifier.store import SecretBox

    if settings.master_key_ring:
        return SecretBox(dict(settings.master_key_ring))
    try:
        return SecretBox({KEY_BESIDE_THE_DATA: (settings.data_dir / MASTER_KEY_FILE).read_bytes()})
    except (OSError, ValueError):  # ValueError: it does not have the length of a key
        return None
