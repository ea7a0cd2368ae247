"""The version of names and layout, and what brings a database up to it.

A version says how keys are named and what is in them. A process that finds a newer one does not start.
Bringing an older one up renames keys one by one, each in one step, so that it can be broken off at any
point and begun again; the version is written at its end. The same walk moves the keys of endpoints when
the number of partitions is not what it was at the last start.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog

from notifier.core.model.ids import split_delivery_id
from notifier.errors import ConfigError
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.partitions import Partitions
from notifier.store.schema import Domain, Key, Place, Row, place_of
from notifier.store.scripts import Script, script

FILE_ENDPOINTS: Final[Script[None]] = script("file_endpoints")

SCANNED_AT_ONCE: Final = 1_000
FILED_AT_ONCE: Final = 250

FIRST_VERSION: Final = 1
FIRST_PARTITIONS: Final = "sn:partitions"
"""The key by which a database of version 1, which names no version, is known."""

FIRST_NAMES: Final = (
    (r"run:([^:]+)", schema.STATE),
    (r"due:([^:]+)", schema.DUE),
    (r"leased:([^:]+)", schema.LEASED),
    (r"lines:([^:]+)", schema.LINES),
    (r"line:([^:]+):([^:]+)", schema.LINE),
    (r"owes:([^:]+)", schema.HISTORY),
    (r"delivery:([^:]+)", schema.DELIVERY),
    (r"owed:([^:]+)", schema.RECIPIENTS),
    (r"looks:([^:]+):([^:]+)", schema.POLLS),
)
"""The names of version 1 that are others now; all the rest of the deciding side only got a tag."""

MOVING: Final = -1
"""Stands for the number of partitions while the keys of endpoints are moved."""

FIRST_FIELDS: Final = {"told": "announced"}
"""The fields of a Space's document that have other names now."""

DROPPED: Final = (schema.READY, schema.PARTITION_WAKEUP, schema.LEASES, schema.RECOVERED)
"""What partitions hold that is made again, or ends by itself, wherever their endpoints are."""

FIRST_DROPPED: Final = re.compile(r"sn:(ready|leases|wakeup|jobs|buckets)(:.*)?")
"""The same of version 1, wakeups, which the next sweep sends again, and buckets, which X describes again."""

log = structlog.get_logger(__name__)

_FIRST_PATTERNS: Final = tuple((re.compile("sn:" + pattern), row) for pattern, row in FIRST_NAMES)


class Layout:
    """Makes sure that the database is laid out as this version expects it."""

    def __init__(self, database: Database, partitions: Partitions) -> None:
        self._database = database
        self._partitions = partitions

    async def settle_in(self) -> None:
        """Bring the database up to this version and number of partitions; no other process may be at work.

        Raises:
            ConfigError: It was written by a newer version.
        """
        async with self._database.translated():
            redis = self._database.redis
            version = int(await redis.get(schema.SCHEMA()) or 0)
            count = int(await redis.get(schema.PARTITIONS()) or 0)
            first_count = 0 if version else int(await redis.get(FIRST_PARTITIONS) or 0)
        if version > schema.VERSION:
            raise ConfigError(
                f"NOTIFIER_REDIS_URL: the database has layout {version}, and this version of space-notifier "
                f"knows {schema.VERSION}; run the version that wrote it, or a newer one"
            )
        if first_count:
            await self._move(_place_in_first)
            await self._rename_fields()
            log.info("database.brought_up", from_version=FIRST_VERSION, to_version=schema.VERSION)
        elif count and count != self._partitions.count:
            async with self._database.translated():
                # Broken off, it must be begun again, also by a process with the number from before.
                await redis.set(schema.PARTITIONS(), MOVING)
            await self._move(place_of)
            log.info("database.partitions_changed", before=count, now=self._partitions.count)
        elif count and version:
            return
        await self._file_endpoints()
        async with self._database.pipeline() as pipe:
            pipe.set(schema.PARTITIONS(), self._partitions.count)
            pipe.set(schema.SCHEMA(), schema.VERSION)
            pipe.delete(FIRST_PARTITIONS)
            await pipe.execute()

    async def _move(self, read: Callable[[str], Place | None]) -> None:
        """Rename every key that has another name now; what was renamed before a break is skipped."""
        async for names in self._names():
            for name in names:
                place = read(name) or place_of(name)
                if name == FIRST_PARTITIONS:
                    continue
                if place is not None and place.row is schema.PARTITION_GENERATION:
                    continue  # Begun again, it could come to a number that a worker has seen before.
                if FIRST_DROPPED.fullmatch(name) or (place is not None and place.row in DROPPED):
                    async with self._database.translated():
                        await self._database.redis.delete(name)
                elif place is not None and place.row is schema.RECIPIENTS:
                    await self._split(name, place)
                elif place is not None and (key := self._key_of(place)) != name:
                    await self._rename(name, key)

    async def _names(self) -> AsyncIterator[list[str]]:
        """Yield the names of all our keys; one renamed in the meantime may appear under both names."""
        cursor = 0
        while True:
            async with self._database.translated():
                cursor, names = await self._database.redis.scan(
                    cursor, match=f"{schema.PREFIX}*", count=SCANNED_AT_ONCE
                )
            yield names
            if cursor == 0:
                return

    async def _rename(self, name: str, key: Key) -> None:
        async with self._database.translated():
            # A name that the walk shows twice is gone the second time.
            if await self._database.redis.exists(name):
                await self._database.redis.rename(name, key)

    async def _rename_fields(self) -> None:
        """Rename the fields of Spaces that have other names now."""
        async with self._database.translated():
            space_ids = await self._database.redis.zrange(schema.SPACES(), 0, -1)
            for space_id in space_ids:
                document = json.loads(await self._database.redis.hget(schema.SPACE(space_id), "doc") or "{}")
                renamed = {FIRST_FIELDS.get(name, name): value for name, value in document.items()}
                if renamed != document:
                    text = json.dumps(renamed, ensure_ascii=False, separators=(",", ":"))
                    await self._database.redis.hset(schema.SPACE(space_id), "doc", text)

    async def _split(self, name: str, place: Place) -> None:
        """Spread the recipients of an event over the partitions that they are in now."""
        event_id = place.part("event")
        async with self._database.translated():
            members = await self._database.redis.smembers(name)
            ttl = await self._database.redis.pttl(name)
        by_partition: dict[Key, list[str]] = defaultdict(list)
        for endpoint_id in members:
            by_partition[schema.RECIPIENTS(self._partitions.of(endpoint_id), event_id)].append(endpoint_id)
        async with self._database.pipeline() as pipe:
            for key, endpoint_ids in by_partition.items():
                pipe.sadd(key, *endpoint_ids)
                if ttl > 0:
                    pipe.pexpire(key, ttl)
            if name not in by_partition:
                pipe.delete(name)
            elif strangers := set(members) - set(by_partition[Key(name)]):
                pipe.srem(name, *strangers)
            await pipe.execute()

    def _key_of(self, place: Place) -> Key:
        """Return the name that a key has with this number of partitions."""
        if place.row.domain is Domain.DECIDING:
            return place.row(*place.parts)
        return place.row(self._partitions.of(_endpoint_of(place)), *place.parts[1:])

    async def _file_endpoints(self) -> None:
        """Index every endpoint in its partition by its due deliveries."""
        async with self._database.translated():
            endpoint_ids = await self._database.redis.zrange(schema.ENDPOINTS(), 0, -1)
        by_partition: dict[int, list[str]] = defaultdict(list)
        for endpoint_id in endpoint_ids:
            by_partition[self._partitions.of(endpoint_id)].append(endpoint_id)
        for partition, filed in by_partition.items():
            for start in range(0, len(filed), FILED_AT_ONCE):
                await self._database.run(
                    FILE_ENDPOINTS, keys=[schema.READY(partition)], args=filed[start : start + FILED_AT_ONCE]
                )


def _endpoint_of(place: Place) -> str:
    """Return the endpoint that a key of the delivering side is about."""
    if place.row is not schema.DELIVERY:
        return place.part("endpoint")
    named = split_delivery_id(place.part("delivery"))
    return named[1] if named is not None else ""


def _place_in_first(name: str) -> Place | None:
    """Return the meaning of a key of version 1, or None for another key."""
    for pattern, row in _FIRST_PATTERNS:
        if match := pattern.fullmatch(name):
            return _place(row, match.groups())
    if name.startswith("sn:{"):
        return None
    return place_of(name.replace("sn:", "sn:{d}:", 1))


def _place(row: Row, parts: tuple[str, ...]) -> Place:
    # The partition of a key of version 1 follows from its endpoint; the number in its place means nothing.
    return Place(row, ("0", *parts) if row.domain is Domain.DELIVERING else parts)
