"""What X does not accept at present, shared between all workers."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from notifier.core.polling.refusals import REFUSED_FOR_SECONDS, Refusal, Refusals
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.records import REPLACE

REFUSALS = TypeAdapter(Refusals)

TTL_SECONDS: Final = int(2 * REFUSED_FOR_SECONDS)
"""Long enough for every value to be retried; records of unused calls expire."""


class SharedRefusals:
    """A record of text that is replaced only if unchanged since it was read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Refusals:
        """Return what X has refused and not accepted since."""
        async with self._database.translated():
            text: str = await self._database.redis.get(schema.REFUSALS()) or ""
        return REFUSALS.validate_json(text) if text else Refusals()

    async def replace(self, before: Refusals, after: Refusals) -> bool:
        """Replace the record if unchanged; return False if another worker has changed it."""
        replaced = await self._database.run(
            REPLACE, keys=[schema.REFUSALS()], args=[_text(after), _text(before), TTL_SECONDS]
        )
        return bool(replaced)

    async def current(self, now: float) -> tuple[Refusal, ...]:
        """Return the values that are left out at a time, in epoch seconds."""
        return (await self.read()).current(now)


def _text(refusals: Refusals) -> str:
    return REFUSALS.dump_json(refusals).decode() if refusals.all else ""
