"""The delivery queue: law 5, the lines, and the partitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import ValidationError

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.model.ids import delivery_id, split_delivery_id
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.delivery_queue import attempts_in
from notifier.store.doctor.finding import Finding, atomically, batches, members, score_of
from notifier.store.doctor.keyspace import Keyspace
from notifier.store.partitions import Partitions
from notifier.store.scripts import LEASED, Script, script

EXAMINE_DELIVERIES: Final[Script[list[list[Any]]]] = script("examine_deliveries")

LONGEST_LEASE_SECONDS: Final = 3_600.0
"""Nobody asks for a longer one."""

OF_ENDPOINT: Final = (schema.DUE, schema.LEASED, schema.HISTORY, schema.LINES, schema.LINE)
"""The keys whose members are deliveries to the endpoint that they name."""


async def examine_deliveries(database: Database, partitions: Partitions, keyspace: Keyspace) -> list[Finding]:
    """Examine every delivery that is named anywhere."""
    by_endpoint = await _named(database, keyspace)
    found = await _records(database, keyspace, by_endpoint)
    for endpoint, events in by_endpoint.items():
        for batch in batches(sorted(events)):
            logged = await atomically(
                database, *(("HMGET", schema.EVENT(event), "serial", "space") for event in batch)
            )
            facts = [
                each
                for event, (serial, space) in zip(batch, logged, strict=True)
                for each in (event, serial or "", space or "")
            ]
            rows = await database.run(
                EXAMINE_DELIVERIES, keys=[partitions.key(schema.STATE, endpoint)], args=[endpoint, *facts]
            )
            found += [finding for row in rows for finding in _misplaced(partitions, endpoint, row)]
    return found


async def _named(database: Database, keyspace: Keyspace) -> dict[str, set[str]]:
    """Return the events of all deliveries that indexes and queues name, by endpoint."""
    endpoints = set(keyspace.parts(schema.ENDPOINT, "endpoint"))
    by_endpoint: dict[str, set[str]] = defaultdict(set)
    for batch in batches(keyspace.places[schema.RECIPIENTS].items()):
        rows = await atomically(database, *(("SMEMBERS", key) for key, _ in batch))
        for (_, place), owed in zip(batch, rows, strict=True):
            for endpoint in endpoints.intersection(owed):
                by_endpoint[endpoint].add(place.part("event"))
    named = [
        (key, place.part("endpoint"), row.type)
        for row in OF_ENDPOINT
        for key, place in keyspace.places[row].items()
    ]
    for key, endpoint, kind in named:
        async for events in members(database, key, kind):
            by_endpoint[endpoint].update(events)
    return by_endpoint


async def _records(database: Database, keyspace: Keyspace, by_endpoint: dict[str, set[str]]) -> list[Finding]:
    """Read the records of deliveries that were attempted, and note whose they are."""
    found: list[Finding] = []
    for batch in batches(keyspace.places[schema.DELIVERY].items()):
        rows = await atomically(database, *(("HGETALL", key) for key, _ in batch))
        for (key, place), row in zip(batch, rows, strict=True):
            named = split_delivery_id(place.part("delivery"))
            if named is None:
                found.append(Finding(key, "names no event and endpoint"))
                continue
            by_endpoint[named[1]].add(named[0])
            if row and (text := _unreadable(_pairs(row))):
                found.append(Finding(key, text))
    return found


def _pairs(row: Any) -> dict[str, str]:  # noqa: ANN401  a dictionary or a flat list, as the client has it
    return row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))


def _unreadable(record: dict[str, str]) -> str | None:
    """Return what is wrong with the record of a delivery."""
    try:
        status = DeliveryStatus(record["status"])
        int(record.get("attempts", 0)), int(record.get("base", 0))
        attempts_in(record)
    except (KeyError, ValueError, ValidationError) as error:
        return f"cannot be read ({type(error).__name__})"
    if (status is DeliveryStatus.PENDING) == bool(record.get("settled_at")):
        return f"is {status} and has {'a' if record.get('settled_at') else 'no'} time of its end"
    return None


def _misplaced(partitions: Partitions, endpoint: str, row: Sequence[Any]) -> Iterator[Finding]:
    """Return the fault of a delivery that is in no queue, in two, or has no record."""
    event, *flags = row
    kept, owed, listed, due, leased, settled, indexed, lined, first = map(bool, flags)
    found_id = delivery_id(event, endpoint)  # type: ignore[arg-type]  # ids as the store has them
    key = schema.DELIVERY(partitions.of(endpoint), found_id)
    waits = lined and not (first or due or leased)
    places = {"due": due, "leased": leased, "settled": settled, "waiting in a line": waits}
    where = [place for place, is_there in places.items() if is_there]
    if not where and (owed or listed or indexed or lined):
        text = "is owed and in no queue: it will never be sent"
        yield Finding(key, text, f"space-notifier deliveries redeliver {found_id}")
    if len(where) > 1:
        yield Finding(key, f"is {' and '.join(where)} at once")
    if where and kept and not owed:
        yield Finding(
            schema.RECIPIENTS(partitions.of(endpoint), event),
            f"{endpoint} is not in it, but {key} is {where[0]}",
        )
    if kept and (where or owed) and not listed:
        yield Finding(
            partitions.key(schema.HISTORY, endpoint), f"{event} is owed and not listed under its serial"
        )
    if indexed != lined:
        yield Finding(
            partitions.key(schema.LINES, endpoint),
            f"{event} is {'only here' if indexed else 'only in its line'}",
        )
    if due and lined and not first:
        yield Finding(key, "is due although an earlier event of its Space is not done")


async def examine_leases(database: Database, keyspace: Keyspace) -> list[Finding]:
    """Find leases that end later than any worker asks for."""
    found: list[Finding] = []
    polled = [key for key, place in keyspace.places[schema.POLLS].items() if place.part("part") == LEASED]
    for held in (keyspace.names(schema.LEASED), polled):
        for batch in batches(held):
            time, *rows = await atomically(
                database, ("TIME",), *(("ZRANGE", key, -1, -1, "WITHSCORES") for key in batch)
            )
            latest = (float(time[0]) + LONGEST_LEASE_SECONDS) * 1000
            for key, row in zip(batch, rows, strict=True):
                if (score_of(row) or 0.0) > latest:
                    found.append(Finding(key, "a lease ends in more than an hour: nobody works on it"))
    return found
