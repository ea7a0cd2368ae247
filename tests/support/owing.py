"""Making events owed, and receivers known, for tests that begin in the middle of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable

from notifier.core.delivery.endpoint import Endpoint
from notifier.store import Store, keys
from notifier.store.delivery_queue import Owed


async def make_owed(store: Store, wanted: Iterable[Owed]) -> set[int]:
    """Make events owed to endpoints; returns the partitions that have work and no wakeup on its way."""
    return {partition async for partitions in store.queue.owe(wanted) for partition in partitions}


async def make_known(store: Store, endpoint: Endpoint) -> None:
    """Have an endpoint past its first contact: its receiver has shown that it takes all that it may get."""
    await store.database.redis.hset(keys.run(endpoint.id), "concurrency", endpoint.max_concurrency)
