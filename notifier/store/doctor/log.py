"""The event log: each event readable, under its own id, and in every index; the outbox."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from notifier.core.events.event import EventType
from notifier.core.events.identity import expected_id
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.doctor.finding import Finding, atomically, batches, members
from notifier.store.doctor.keyspace import Keyspace
from notifier.store.events import read_routing
from notifier.store.scripts import Script, script

EXAMINE_EVENTS: Final[Script[list[list[Any]]]] = script("examine_events")

BODIES_AT_ONCE: Final = 100
EXPIRY_SLACK_SECONDS: Final = 60.0


async def examine_log(database: Database, keyspace: Keyspace, *, kept_seconds: float) -> list[Finding]:
    """Examine every event and every index of the log."""
    found: list[Finding] = []
    kept: dict[str, tuple[int, float]] = {}  # serial and epoch ms of each event that could be read
    for batch in batches(keyspace.parts(schema.EVENT, "event"), BODIES_AT_ONCE):
        for row in await database.run(EXAMINE_EVENTS, keys=[schema.EVENTS()], args=batch):
            event_id = row[0]
            found += [Finding(schema.EVENT(event_id), text) for text in _faults(row)]
            if str(row[6]).isdigit() and str(row[7]).isdigit():
                kept[event_id] = int(row[6]), float(row[7])
    found += await _lost(database, kept, kept_seconds=kept_seconds)
    found += await _outbox(database)
    return found


def _faults(row: Sequence[Any]) -> Iterator[str]:
    """Return what is wrong with one event."""
    event_id, event_type, body, routing, space, sequence, serial, at, *indexed = row
    in_log, in_type, in_space = (None if place == "" else float(place) for place in indexed)
    try:
        EventType(event_type)
        read_routing(routing)
        payload = json.loads(body)
        is_itself = (payload["type"], payload["data"]["id"]) == (event_type, event_id)
        expected = expected_id(payload)
        named = payload["data"].get("sequence"), payload["data"].get("space", {}).get("id", "")
        own_serial, _ = int(serial), int(at)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"cannot be read ({type(error).__name__})"
        return
    if not is_itself:
        yield "its body is that of another event"
    if expected not in (None, event_id):
        yield f"its content makes the id {expected}"
    if named != (int(sequence) if sequence else None, space):
        yield "its body names another Space or sequence than its record"
    if in_log != own_serial:
        yield f"is not in {schema.EVENTS()} under its serial"
    if in_type != own_serial:
        yield f"is not in {schema.EVENTS_OF_TYPE(event_type)} under its serial"
    if space and in_space != int(sequence):
        yield f"is not in {schema.SPACE_EVENTS(space)} under its sequence"


async def _lost(
    database: Database, kept: dict[str, tuple[int, float]], *, kept_seconds: float
) -> list[Finding]:
    """Find events that are missing although older ones, which expire first, still exist.

    Only events younger than the retention count: when that was shortened, younger ones do expire first.
    """
    (time,) = await atomically(database, ("TIME",))
    oldest_ms = (float(time[0]) - kept_seconds + EXPIRY_SLACK_SECONDS) * 1000
    first = min((serial for serial, at in kept.values() if at >= oldest_ms), default=None)
    found: list[Finding] = []
    async for event_ids in members(database, schema.EVENTS(), "zset"):
        for event_id in event_ids:
            if first is None or event_id in kept:
                continue
            serial, exists = await atomically(
                database, ("ZSCORE", schema.EVENTS(), event_id), ("EXISTS", schema.EVENT(event_id))
            )
            if serial is not None and not exists and float(serial) > first:
                found.append(
                    Finding(
                        schema.EVENT(event_id),
                        "is gone, although older events are still kept",
                        "check whether Redis evicts keys: maxmemory-policy has to be noeviction",
                    )
                )
    return found


async def _outbox(database: Database) -> list[Finding]:
    found: list[Finding] = []
    async for event_ids in members(database, schema.OUTBOX(), "zset"):
        for event_id in event_ids:
            score, serial = await atomically(
                database, ("ZSCORE", schema.OUTBOX(), event_id), ("HGET", schema.EVENT(event_id), "serial")
            )
            if score is not None and serial is None:
                found.append(Finding(schema.OUTBOX(), f"{event_id} is to be dispatched, and is not kept"))
            elif score is not None and float(score) != float(serial):
                found.append(
                    Finding(schema.OUTBOX(), f"{event_id} is filed under another serial than its own")
                )
    return found
