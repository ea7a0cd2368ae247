"""The delivery queue: law 5, the lines, and the partitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import ValidationError

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.model.ids import delivery_id, split_delivery_id
from notifier.store import keys
from notifier.store.database import Database
from notifier.store.delivery_queue import attempts_in
from notifier.store.doctor.finding import Finding, atomically, batches, members, score_of
from notifier.store.doctor.keyspace import Keyspace

LONGEST_LEASE_SECONDS: Final = 3_600.0
"""Nobody asks for a longer one."""

OF_ENDPOINT: Final = {
    keys.due("*"): "zset",
    keys.leased("*"): "zset",
    keys.owes("*"): "zset",
    keys.lines("*"): "hash",
    keys.line("*", "*"): "zset",
}
"""The keys whose members are deliveries to the endpoint that they name."""


async def examine_deliveries(database: Database, keyspace: Keyspace) -> list[Finding]:
    """Examine every delivery that is named anywhere."""
    by_endpoint = await _named(database, keyspace)
    found = await _records(database, keyspace, by_endpoint)
    for endpoint, events in by_endpoint.items():
        for batch in batches(sorted(events)):
            rows = await database.run("examine_deliveries", args=[endpoint, *batch])
            found += [finding for row in rows for finding in _misplaced(endpoint, row)]
    return found


async def _named(database: Database, keyspace: Keyspace) -> dict[str, set[str]]:
    """Return the events of all deliveries that indexes and queues name, by endpoint."""
    endpoints = set(keyspace.ids(keys.endpoint("*")))
    by_endpoint: dict[str, set[str]] = defaultdict(set)
    for batch in batches(keyspace.ids(keys.owed("*"))):
        rows = await atomically(database, *(("SMEMBERS", keys.owed(event)) for event in batch))
        for event, owed in zip(batch, rows, strict=True):
            for endpoint in endpoints.intersection(owed):
                by_endpoint[endpoint].add(event)
    named = [
        (key, key.split(":")[2], kind) for form, kind in OF_ENDPOINT.items() for key in keyspace.names[form]
    ]
    for key, endpoint, kind in named:
        async for events in members(database, key, kind):
            by_endpoint[endpoint].update(events)
    return by_endpoint


async def _records(database: Database, keyspace: Keyspace, by_endpoint: dict[str, set[str]]) -> list[Finding]:
    """Read the records of deliveries that were attempted, and note whose they are."""
    found: list[Finding] = []
    for batch in batches(keyspace.names[keys.delivery("*")]):
        rows = await atomically(database, *(("HGETALL", key) for key in batch))
        for key, row in zip(batch, rows, strict=True):
            named = split_delivery_id(key.removeprefix(keys.delivery("")))
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


def _misplaced(endpoint: str, row: Sequence[Any]) -> Iterator[Finding]:
    """Return what is wrong with a delivery that is in no place, in two, or not on record."""
    event, *flags = row
    kept, owed, owes, due, leased, settled, indexed, lined, first = map(bool, flags)
    found_id = delivery_id(event, endpoint)  # type: ignore[arg-type]  # ids as the store has them
    key = keys.delivery(found_id)
    waits = lined and not (first or due or leased)
    places = {"due": due, "leased": leased, "settled": settled, "waiting in a line": waits}
    where = [place for place, is_there in places.items() if is_there]
    if not where and (owed or owes or indexed or lined):
        text = "is owed and in no queue: it will never be sent"
        yield Finding(key, text, f"space-notifier deliveries redeliver {found_id}")
    if len(where) > 1:
        yield Finding(key, f"is {' and '.join(where)} at once")
    if where and kept and not owed:
        yield Finding(keys.owed(event), f"{endpoint} is not in it, but {key} is {where[0]}")
    if kept and (where or owed) and not owes:
        yield Finding(keys.owes(endpoint), f"{event} is owed and not listed under its serial")
    if indexed != lined:
        yield Finding(keys.lines(endpoint), f"{event} is {'only here' if indexed else 'only in its line'}")
    if due and lined and not first:
        yield Finding(key, "is due although an earlier event of its Space is not done")


async def examine_leases(database: Database, keyspace: Keyspace) -> list[Finding]:
    """Find leases that end so late that nobody can have asked for them."""
    found: list[Finding] = []
    for form in (keys.leased("*"), keys.polls("*", "*")):
        held = [key for key in keyspace.names[form] if form == keys.leased("*") or key.endswith(":leased")]
        for batch in batches(held):
            time, *rows = await atomically(
                database, ("TIME",), *(("ZRANGE", key, -1, -1, "WITHSCORES") for key in batch)
            )
            latest = (float(time[0]) + LONGEST_LEASE_SECONDS) * 1000
            for key, row in zip(batch, rows, strict=True):
                if (score_of(row) or 0.0) > latest:
                    found.append(Finding(key, "a lease ends in more than an hour: nobody works on it"))
    return found
