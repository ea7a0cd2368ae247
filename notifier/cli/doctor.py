"""``doctor``: looking the database over."""
# ruff: noqa: PLC0415 - the help of this command needs none of what it does

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from notifier.cli.console import FAILED, printable

if TYPE_CHECKING:
    from notifier.config import Settings
    from notifier.store.doctor import Finding


def doctor() -> None:
    """Look the whole database over for anything that must not be so; nothing is changed, work may go on."""
    import asyncio

    from notifier.config import load_settings

    found = asyncio.run(_examine(load_settings()))
    for finding in found:
        typer.echo(printable(str(finding)))
    if found:
        typer.echo(f"{len(found)} findings", err=True)
        raise typer.Exit(FAILED)
    typer.echo("Nothing is wrong.")


async def _examine(settings: Settings) -> list[Finding]:
    """Look over the database that the settings name, or the one that `up` runs over the data directory."""
    from notifier.store import Database, Store, connect
    from notifier.store.doctor import findings

    database = Database(connect(settings.redis_url or _embedded_url(settings)))
    try:
        store = Store(
            database, retention_days=settings.retention_days, partitions=settings.delivery_partitions
        )
        return await findings(store)
    finally:
        await database.close()


def _embedded_url(settings: Settings) -> str:
    """Read where the server of a running `up` is.

    Raises:
        ConfigError: None runs over the data directory.
    """
    from notifier.cli.stack import DATA_FOLDER
    from notifier.cli.valkey import URL_FILE
    from notifier.errors import ConfigError

    try:
        return (settings.data_dir / DATA_FOLDER / URL_FILE).read_text()
    except OSError:
        raise ConfigError(
            f"NOTIFIER_REDIS_URL: is not set, and no `space-notifier up` runs over {settings.data_dir}"
        ) from None
