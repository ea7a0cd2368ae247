"""Erasing what X does not have any more from what is kept of events and deliveries (spec: duties)."""

from __future__ import annotations

from dataclasses import replace

from notifier.core.events import redact
from notifier.core.ids import EndpointId, EventId, SpaceId, delivery_id
from notifier.store import keys
from notifier.store.database import Argument, Database, ScriptCall, script
from notifier.store.delivery_queue import ATTEMPT, attempts_in

EVENTS_AT_ONCE = 100


class Redaction:
    """Reaches every copy of a Space's content outside its own record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def redact(self, space_id: SpaceId) -> int:
        """Reduce the bodies of all events that tell of a Space, and what was answered to their deliveries.

        Ids, types and times stay. Doing it twice changes nothing. Gives how many events there were.
        """
        async with self._database.pipeline() as pipe:
            pipe.zrange(keys.space_events(space_id), 0, -1)
            pipe.smembers(keys.space_mentions(space_id))
            own, mentions = await pipe.execute()
        event_ids = [EventId(each) for each in dict.fromkeys((*own, *sorted(mentions)))]
        for start in range(0, len(event_ids), EVENTS_AT_ONCE):
            await self._redact_events(space_id, event_ids[start : start + EVENTS_AT_ONCE])
        return len(event_ids)

    async def _redact_events(self, space_id: SpaceId, event_ids: list[EventId]) -> None:
        async with self._database.pipeline() as pipe:
            for event_id in event_ids:
                pipe.hget(keys.event(event_id), "body")
                pipe.smembers(keys.owed(event_id))
            rows = await pipe.execute()
        calls = []
        for event_id, body, owed in zip(event_ids, rows[::2], rows[1::2], strict=True):
            if body is not None:
                redacted = redact(body.encode(), space_id)
                calls.append(ScriptCall(script("redact_event"), [keys.event(event_id)], [redacted]))
            calls += await self._attempts(event_id, sorted(owed))
        await self._database.run_all(calls)

    async def _attempts(self, event_id: EventId, owed: list[EndpointId]) -> list[ScriptCall]:
        """Blank what receivers answered: an answer may repeat what it got."""
        records = [keys.delivery(delivery_id(event_id, endpoint_id)) for endpoint_id in owed]
        async with self._database.pipeline() as pipe:
            for record in records:
                pipe.hgetall(record)
            rows = await pipe.execute()
        calls = []
        for record, fields in zip(records, rows, strict=True):
            blank: list[Argument] = []
            for attempt in attempts_in(fields):
                blank += [attempt.id, ATTEMPT.dump_json(replace(attempt, body="", headers={}))]
            if blank:
                calls.append(ScriptCall(script("redact_attempts"), [record], blank))
        return calls
