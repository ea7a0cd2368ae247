"""Endpoints: their records, what the claim keeps of them, and whether a worker will find their work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import Final

from pydantic import ValidationError

from notifier.core.delivery.endpoint import Endpoint, Ordering
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.doctor.finding import Finding, atomically, members, score_of
from notifier.store.doctor.keyspace import Keyspace
from notifier.store.endpoint_state import StateField
from notifier.store.endpoints import ENDPOINT
from notifier.store.learned_pace import LearnedPace, read_pace
from notifier.store.partitions import Partitions

NEEDS_ENDPOINT: Final = (
    *(schema.STATE, schema.DUE, schema.LEASED, schema.LINES, schema.LINE),
    *(schema.MEMORIES, schema.MEMORY_ENDS),
)
"""The keys that go with their endpoint."""

FIELDS: Final = (
    *(StateField.PAUSED, StateField.ORDERED, StateField.MAX_CONCURRENCY, StateField.REMEMBERS),
    *(StateField.RESUME_AT, StateField.OPEN_UNTIL, StateField.RATE_AT, StateField.INTERVAL_MS),
    *(StateField.CONCURRENCY, StateField.PACE),
)


@dataclass(frozen=True, slots=True)
class Queue:
    """What decides when a worker has to see an endpoint, all of one moment; times in ms, None for none."""

    run: dict[str, str | None]
    leased: int
    first_due: float | None
    first_lease_end: float | None

    def number(self, name: str) -> float:
        """Read a figure of the run record."""
        return float(self.run.get(name) or 0)

    @property
    def pace(self) -> LearnedPace:
        """What was learned of the pace that the receiver allows."""
        return read_pace(self.run.get("pace"))

    @property
    def next_at(self) -> float | None:
        """When there is something to do, by the rules of ``lib/state.lua`` and ``lib/filing.lua``."""
        pace = self.pace
        most = self.number("max_concurrency")
        if self.run.get("concurrency"):
            most = max(1, min(most, floor(self.number("concurrency"))))
        if self.number("open_until") > 0 or pace.refusing is not None:
            most = 1
        moments = [] if self.first_lease_end is None else [self.first_lease_end]
        if self.first_due is not None and self.run.get("paused") != "1" and self.leased < most:
            next_token = self.number("rate_at") + max(self.number("interval_ms"), pace.interval_ms)
            moments.append(max(self.first_due, self.number("resume_at"), next_token))
        return min(moments, default=None)


async def examine_endpoints(database: Database, partitions: Partitions, keyspace: Keyspace) -> list[Finding]:
    """Examine every endpoint, and the remains of deleted ones."""
    (count,) = await atomically(database, ("GET", schema.PARTITIONS()))
    endpoint_ids = keyspace.parts(schema.ENDPOINT, "endpoint")
    if endpoint_ids and not int(count or 0):
        text = "is missing: nobody knows where endpoints are filed"
        return [Finding(schema.PARTITIONS(), text, "restart every process; the first one files them again")]
    found: list[Finding] = []
    for endpoint_id in endpoint_ids:
        found += await _endpoint(database, partitions, endpoint_id)
        found += await _filing(database, partitions, endpoint_id)
    found += await _lines(database, partitions, keyspace)
    found += await _left_behind(database, keyspace, partitions)
    return found


async def _endpoint(database: Database, partitions: Partitions, endpoint_id: str) -> list[Finding]:
    """Compare an endpoint's record with its related keys."""
    key = schema.ENDPOINT(endpoint_id)
    text, serial, generation, challenge, fields = await atomically(
        database,
        ("GET", key),
        ("ZSCORE", schema.ENDPOINTS(), endpoint_id),
        ("GET", schema.ENDPOINTS_GENERATION()),
        ("ZSCORE", schema.CHALLENGES(), endpoint_id),
        ("HMGET", partitions.key(schema.STATE, endpoint_id), *FIELDS),
    )
    if text is None:
        return []  # Deleted in the meantime.
    try:
        endpoint = ENDPOINT.validate_json(text)
    except ValidationError:
        return [Finding(key, "cannot be read")]
    found = [Finding(key, "holds another endpoint")] if endpoint.id != endpoint_id else []
    if serial is None:
        found.append(Finding(schema.ENDPOINTS(), f"{endpoint_id} is not in it: nothing will be owed to it"))
    if generation is None:
        text = "is missing: workers will not see that endpoints change"
        found.append(
            Finding(schema.ENDPOINTS_GENERATION(), text, "any change of any endpoint puts this right")
        )
    if (challenge is None) != (endpoint.challenge_due_at is None):
        text = "is not in it, and is to be" if challenge is None else "is in it, and is not to be"
        found.append(
            Finding(schema.CHALLENGES(), f"{endpoint_id} {text} challenged", _any_change(endpoint_id))
        )
    run = dict(zip(FIELDS, fields, strict=True))
    remedy = _any_change(endpoint_id)
    found += [
        Finding(partitions.key(schema.STATE, endpoint_id), text, remedy)
        for text in _run_faults(endpoint, run)
    ]
    return found


def _any_change(endpoint_id: str) -> str:
    """Return the remedy: saving an endpoint rewrites all keys related to its record."""
    return f"any change to it puts this right: space-notifier endpoints update {endpoint_id} --description …"


def _run_faults(endpoint: Endpoint, run: dict[str, str | None]) -> Iterator[str]:
    kept = {
        "paused": int(endpoint.is_held),
        "ordered": int(endpoint.ordering is Ordering.SPACE),
        "max_concurrency": endpoint.max_concurrency,
    }
    for name, value in kept.items():
        if run[name] != str(value):
            yield f"{name} is {run[name]}, and by the endpoint's record {value}"
    if (run["remembers"] == "1") != endpoint.remembers:
        yield f"remembers is {run['remembers']}, and by the endpoint's record {int(endpoint.remembers)}"
    rate = endpoint.rate_limit_per_second
    interval = 0.0 if rate is None else 1000 / rate
    if float(run["interval_ms"] or 0) != interval:
        yield f"interval_ms is {run['interval_ms']}, and by the endpoint's record {interval:g}"


async def _filing(database: Database, partitions: Partitions, endpoint_id: str) -> list[Finding]:
    """Find out whether an endpoint is filed where and when a worker has to see it."""
    run, time, leased, due, lease, exists, *filed = await atomically(
        database,
        ("HMGET", partitions.key(schema.STATE, endpoint_id), *FIELDS),
        ("TIME",),
        ("ZCARD", partitions.key(schema.LEASED, endpoint_id)),
        ("ZRANGE", partitions.key(schema.DUE, endpoint_id), 0, 0, "WITHSCORES"),
        ("ZRANGE", partitions.key(schema.LEASED, endpoint_id), 0, 0, "WITHSCORES"),
        ("EXISTS", schema.ENDPOINT(endpoint_id)),
        *(("ZSCORE", schema.READY(partition), endpoint_id) for partition in range(partitions.count)),
    )
    own = partitions.of(endpoint_id)
    queue = Queue(dict(zip(FIELDS, run, strict=True)), leased, score_of(due), score_of(lease))
    found = [
        Finding(schema.READY(partition), f"{endpoint_id} belongs in partition {own}")
        for partition, at in enumerate(filed)
        if at is not None and partition != own
    ]
    now, at, wanted = (time[0] + time[1] / 1e6) * 1000, filed[own], queue.next_at
    if wanted is None or not exists:
        return found
    if at is None:
        text = f"{endpoint_id} has work and is not in it"
        found.append(Finding(schema.READY(own), text, _any_change(endpoint_id)))
    elif float(at) > max(wanted, now) + 1:
        text = f"{endpoint_id} is filed later than it has work"
        found.append(Finding(schema.READY(own), text, _any_change(endpoint_id)))
    return found


async def _lines(database: Database, partitions: Partitions, keyspace: Keyspace) -> list[Finding]:
    """Compare how many lines an endpoint has with how many it is said to have."""
    lines = Counter(keyspace.parts(schema.LINE, "endpoint"))
    found: list[Finding] = []
    for endpoint_id in keyspace.parts(schema.STATE, "endpoint"):
        state = partitions.key(schema.STATE, endpoint_id)
        (said,) = await atomically(database, ("HGET", state, StateField.LINES))
        if int(said or 0) == lines[endpoint_id]:
            continue
        said, spaces = await atomically(
            database, ("HGET", state, StateField.LINES), ("HVALS", partitions.key(schema.LINES, endpoint_id))
        )
        if int(said or 0) != len(set(spaces)):
            found.append(Finding(state, "counts another number of lines than there are"))
    return found


async def _left_behind(database: Database, keyspace: Keyspace, partitions: Partitions) -> list[Finding]:
    """Find references to endpoints that do not exist, and to partitions that no worker serves."""
    found: list[Finding] = []
    known = set(keyspace.parts(schema.ENDPOINT, "endpoint"))
    named = [
        (key, place.part("endpoint")) for row in NEEDS_ENDPOINT for key, place in keyspace.places[row].items()
    ]
    indexes = (schema.ENDPOINTS(), schema.CHALLENGES(), *keyspace.names(schema.READY))
    for index in indexes:
        async for endpoint_ids in members(database, index, "zset"):
            named += [(index, endpoint_id) for endpoint_id in endpoint_ids]
    for key, endpoint_id in named:
        if endpoint_id in known:
            continue
        exists, is_there, score = await atomically(
            database,
            ("EXISTS", schema.ENDPOINT(endpoint_id)),
            ("EXISTS", key),
            *([("ZSCORE", key, endpoint_id)] if key in indexes else [("ECHO", "1")]),
        )
        if is_there and score is not None and not exists:
            found.append(Finding(key, f"there is no endpoint {endpoint_id}"))
    return found + [
        Finding(key, "is a partition that nobody serves")
        for key, place in keyspace.places[schema.READY].items()
        if int(place.part("partition")) >= partitions.count
    ]
