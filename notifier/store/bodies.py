"""What is sent of events, read once by each process for as long as it is likely to be sent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, TypeAlias

from cachetools import FIFOCache

from notifier.core.model.ids import EventId
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.scripts import Script, script

READ_BODIES: Final[Script[list[Any]]] = script("read_bodies")

Body: TypeAlias = tuple[bytes, float]
"""The full payload of an event and the epoch second of its commit; empty and 0 where it is gone."""

MAX_KEPT_BYTES: Final = 8 * 2**20
ENTRY_BYTES: Final = 256
"""The approximate overhead of an entry in addition to its payload."""


class Bodies:
    """The bodies of events.

    A worker that dispatches an event knows it already, and its deliveries are claimed in many turns. What is
    kept is forgotten when the generation of a partition has changed: an erasure changes it after it has
    reduced the bodies, so that whatever is claimed from then on carries the reduced ones.

    Attributes:
        forgotten: How many times that was; an answer to a question from before is not kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: FIFOCache[EventId, Body] = FIFOCache(
            MAX_KEPT_BYTES, getsizeof=lambda kept: len(kept[0]) + ENTRY_BYTES
        )
        self._generations: dict[int, str] = {}
        self.forgotten = 0

    def keep(self, event_id: EventId, body: Body, *, asked: int) -> None:
        """Keep what was read of an event; ``asked`` is what :attr:`forgotten` was before."""
        if asked == self.forgotten and len(body[0]) + ENTRY_BYTES <= MAX_KEPT_BYTES:
            self._kept[event_id] = body

    async def of(
        self, event_ids: Collection[EventId], *, partition: int, generation: str
    ) -> dict[EventId, Body]:
        """Return the bodies of events.

        Args:
            event_ids: Which.
            partition: Where their deliveries were claimed.
            generation: Of that partition, at the moment of the claim.
        """
        if self._generations.get(partition) != generation:
            self._kept.clear()
            self.forgotten += 1
            self._generations[partition] = generation
        found: dict[EventId, Body] = {}
        missing: list[EventId] = []
        for event_id in event_ids:
            body = self._kept.get(event_id)
            if body is None:
                missing.append(event_id)
            else:
                found[event_id] = body
        if missing:
            found |= await self._read(missing)
        return found

    async def _read(self, event_ids: Collection[EventId]) -> dict[EventId, Body]:
        asked = self.forgotten
        rows = await self._database.run(READ_BODIES, keys=[schema.EVENT(each) for each in event_ids])
        read = {
            event_id: (body.encode(), at / 1000)
            for event_id, body, at in zip(event_ids, rows[::2], rows[1::2], strict=True)
        }
        for event_id, body in read.items():
            if body[0]:
                self.keep(event_id, body, asked=asked)
        return read
