"""Databases of an older and a newer version, and with another number of partitions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from notifier.errors import ConfigError
from notifier.runtime import open_runtime
from notifier.store import doctor, layout, schema
from notifier.store.doctor import findings
from notifier.store.layout import Layout
from notifier.store.schema import Key, place_of
from tests.support.healthy_database import PARTITIONS, restore_healthy
from tests.support.pipeline import quick_settings
from tests.support.two_workers import WorkerCrashedError

pytestmark = pytest.mark.server

FIRST_NAMES: Final = {
    "state": "run",
    "history": "owes",
    "recipients": "owed",
    "polls": "looks",
}
"""How version 1 began the names that are others now."""

NEW: Final = (schema.SCHEMA, schema.PARTITION_GENERATION, schema.RECOVERED)
"""What version 1 did not have."""

MADE_AGAIN: Final = (
    *layout.DROPPED,
    schema.PARTITION_GENERATION,
    schema.WAKEUPS,
    schema.JOBS,
    schema.JOBS_HEALTH,
    schema.BUCKETS,
)


@pytest.fixture
async def redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A client of a database with a little of everything in it."""
    monkeypatch.setattr(doctor, "POLL_AGAIN_SECONDS", 0.0)  # The state is constant here.
    async with Redis.from_url(redis_url) as raw:
        await restore_healthy(redis_url, raw)
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


async def contents(redis: Any) -> dict[str, object]:
    """Return every key that is not recreated at the start."""
    read = {
        "string": redis.get,
        "hash": redis.hgetall,
        "set": redis.smembers,
        "zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
    }
    found: dict[str, object] = {}
    async for key in redis.scan_iter():
        place = place_of(key)
        if place is None or place.row not in MADE_AGAIN:
            found[key] = await read[await redis.type(key)](key), await redis.ttl(key) > 0
    return found


async def make_old(redis: Any) -> None:
    """Rename the keys of a database, and the fields of its Spaces, to those of version 1."""
    for space_id in await redis.zrange(schema.SPACES(), 0, -1):
        document = await redis.hget(schema.SPACE(space_id), "doc")
        await redis.hset(schema.SPACE(space_id), "doc", document.replace('"announced":', '"told":'))
    for key in [key async for key in redis.scan_iter()]:
        place = place_of(key)
        if place is not None and place.row in NEW:
            await redis.delete(key)
        elif match := re.fullmatch(r"sn:\{(\w+)\}:(\w[\w-]*)(.*)", key):
            tag, name, rest = match.groups()
            old = f"sn:{FIRST_NAMES.get(name, name)}{rest}"
            if name == "recipients":
                await redis.sunionstore(old, old, key)
                await redis.expire(old, 1_000)
                await redis.delete(key)
            elif name in ("ready", "leases", "wakeup"):
                await redis.rename(key, f"{old}:{tag.removeprefix('p')}")
            else:
                await redis.rename(key, old)


async def settle_in(redis_url: str, partitions: int = PARTITIONS) -> None:
    """Start as every process does, and check that the doctor finds nothing."""
    async with open_runtime(quick_settings(redis_url, delivery_partitions=partitions)) as runtime:
        assert await findings(runtime.store) == []


@contextmanager
def dying_after(renamed: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a start crash after it has renamed ``renamed`` keys."""
    rename, left = Layout._rename, [renamed]  # noqa: SLF001 - the step at which a process can die

    async def dies(self: Layout, name: str, key: Key) -> None:
        if not left[0]:
            raise WorkerCrashedError
        left[0] -= 1
        await rename(self, name, key)

    with monkeypatch.context() as patch:
        patch.setattr(Layout, "_rename", dies)
        with pytest.raises(WorkerCrashedError):
            yield


async def test_a_new_database_gets_its_version(redis_url: str) -> None:
    await settle_in(redis_url)
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        assert await client.get(schema.SCHEMA()) == str(schema.VERSION)
        assert await client.get(schema.PARTITIONS()) == str(PARTITIONS)


async def test_a_database_of_a_newer_version_is_refused(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.set(schema.SCHEMA(), schema.VERSION + 1)
    with pytest.raises(ConfigError, match=f"has layout {schema.VERSION + 1}, and this version"):
        await settle_in(redis_url)


async def test_a_database_of_version_1_is_migrated(redis_url: str, redis: Any) -> None:
    before = await contents(redis)
    await make_old(redis)
    await settle_in(redis_url)
    assert await contents(redis) == before


@pytest.mark.parametrize("renamed", [0, 1, 10, 30])
async def test_an_interrupted_migration_can_be_restarted(
    redis_url: str, redis: Any, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    before = await contents(redis)
    await make_old(redis)
    with dying_after(renamed, monkeypatch):
        await settle_in(redis_url)
    assert await redis.get(schema.SCHEMA()) is None
    await settle_in(redis_url)
    assert await contents(redis) == before


@pytest.mark.parametrize("renamed", [0, 1, 3])
async def test_an_interrupted_move_can_be_reverted(
    redis_url: str, redis: Any, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    before = await contents(redis)
    with dying_after(renamed, monkeypatch):
        await settle_in(redis_url, partitions=5)
    await settle_in(redis_url)
    assert await contents(redis) == before


async def test_the_generation_of_a_partition_never_restarts(redis_url: str, redis: Any) -> None:
    before = await redis.get(schema.PARTITION_GENERATION(0))
    await settle_in(redis_url, partitions=5)
    assert int(await redis.get(schema.PARTITION_GENERATION(0))) >= int(before) > 0


async def test_endpoints_move_with_all_their_records_to_more_partitions(redis_url: str, redis: Any) -> None:
    before = await contents(redis)
    await settle_in(redis_url, partitions=5)
    moved = await contents(redis)
    assert moved.keys() != before.keys()
    await settle_in(redis_url)
    assert await contents(redis) == before
