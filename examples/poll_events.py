"""Polling instead of webhooks: read the event log from where the last run stopped.

    NOTIFIER_ADMIN_KEY=snk_… python examples/poll_events.py

For programs that cannot be reached from outside. The cursor is stored in a file only after a page was
handled, so an event may be handled twice but is never skipped. Requires aiohttp.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp

CURSOR: Final = Path("events.cursor")
PAGE: Final = "250"
PAUSE_SECONDS: Final = 2.0


def handle(event: dict[str, Any]) -> None:
    """Handle an event; here it is printed."""
    space = event["data"].get("space", {})
    print(event["type"], space.get("id", ""), space.get("title", ""), flush=True)  # noqa: T201 - the output


async def pages(
    session: aiohttp.ClientSession, url: str, cursor: str
) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
    """Yield pages of events after ``cursor``, the oldest first, each with its next cursor, forever."""
    while True:
        async with session.get(f"{url}/v1/events", params={"after": cursor, "limit": PAGE}) as answer:
            answer.raise_for_status()
            page = await answer.json()
        cursor = page["next_cursor"]
        if page["data"]:
            yield page["data"], cursor
        else:
            await asyncio.sleep(PAUSE_SECONDS)


async def follow(url: str, key: str) -> None:
    """Handle every event after the stored cursor."""
    cursor = CURSOR.read_text() if CURSOR.exists() else "0"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        async for events, next_cursor in pages(session, url, cursor):
            for event in events:
                handle(event)
            CURSOR.write_text(next_cursor)


if __name__ == "__main__":
    asyncio.run(
        follow(os.environ.get("NOTIFIER_URL", "http://127.0.0.1:8080"), os.environ["NOTIFIER_ADMIN_KEY"])
    )
