"""Finding the database for commands that bypass the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from notifier.cli.stack import DATA_FOLDER
from notifier.cli.valkey import URL_FILE, embedded_valkey
from notifier.config import Settings
from notifier.errors import ConfigError, UnavailableError
from notifier.store import Database, connect


@asynccontextmanager
async def with_database(settings: Settings) -> AsyncIterator[Settings]:
    """Yield the settings with the URL of a running database.

    That is the one in the settings, or that of a running `up`. If none is running, an embedded server is
    started on its files.

    Raises:
        ConfigError: No URL is set and nothing was ever stored here, or another process uses the files.
        UnavailableError: The server does not start.
    """
    if settings.redis_url is not None:
        yield settings
        return
    directory = settings.data_dir / DATA_FOLDER
    if not directory.is_dir():
        raise ConfigError(
            "NOTIFIER_REDIS_URL: is not set, and no `space-notifier up` has stored anything in "
            f"{settings.data_dir}"
        )
    url = await _serving(directory)
    if url is not None:
        yield settings.model_copy(update={"redis_url": url})
        return
    async with embedded_valkey(directory) as url:
        yield settings.model_copy(update={"redis_url": url})


async def _serving(directory: Path) -> str | None:
    """Return the URL of a server that is running on these files, or None."""
    try:
        url = (directory / URL_FILE).read_text()
    except OSError:
        return None
    database = Database(connect(url))
    try:
        await database.ping()
    except UnavailableError:
        return None
    finally:
        await database.close()
    return url
