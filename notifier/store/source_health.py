"""The health of X, shared by all workers: the outages of each call, and how much has vanished recently."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from notifier.core.events.event import Event, encode
from notifier.core.polling.health import Health, read_health
from notifier.core.spaces.vanishing import BLACKOUT_HOLD_SECONDS, CYCLE_SECONDS
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.events import routing_json
from notifier.store.scripts import Argument, Script, script

SAVE_HEALTH: Final[Script[int]] = script("save_health")
NOTE_CYCLE: Final[Script[list[Any]]] = script("note_cycle")


@dataclass(frozen=True, slots=True)
class Cycle:
    """The living Spaces that were polled lately.

    Attributes:
        polled: How many.
        found: How many of them are there.
        missing: Those that are not, and some polled before, since which epoch second.
    """

    polled: int
    found: int
    missing: Mapping[str, float]


class SourceHealth:
    """One record for all workers, replaced only if unchanged since it was read."""

    def __init__(self, database: Database, *, ttl_seconds: int) -> None:
        self._database = database
        self._ttl = ttl_seconds

    async def read(self) -> tuple[Health, str]:
        """Return the present health, and the record that :meth:`replace` has to name."""
        async with self._database.translated():
            record: str = await self._database.redis.get(schema.HEALTH()) or ""
        return (read_health(json.loads(record)) if record else Health()), record

    async def replace(self, record: str, health: Health, events: Sequence[Event]) -> bool:
        """Replace a record by another health, and log the events that report it.

        Returns:
            False where another worker has changed it; then nothing is stored.
        """
        rows: list[Argument] = []
        for event in events:
            rows += [event.id, event.type, encode(event), routing_json(event)]
        document = "" if health == Health() else json.dumps(health.as_json())
        return bool(
            await self._database.run(
                SAVE_HEALTH, keys=[schema.HEALTH()], args=[document, record, self._ttl, *rows]
            )
        )

    async def note_cycle(self, found: Collection[str], missing: Collection[str], *, now: float) -> Cycle:
        """Note which living Spaces an answer showed, and which it was asked about and did not show."""
        now_ms = int(now * 1000)
        polled, found_of_them, *rows = await self._database.run(
            NOTE_CYCLE,
            keys=[schema.CYCLE_POLLED(), schema.CYCLE_MISSING()],
            args=[
                now_ms,
                now_ms - int(CYCLE_SECONDS * 1000),
                now_ms - int(BLACKOUT_HOLD_SECONDS * 1000),
                len(found),
                *found,
                *missing,
            ],
        )
        since = [float(at) / 1000 for at in rows[1::2]]
        return Cycle(polled, found_of_them, dict(zip(rows[::2], since, strict=True)))
