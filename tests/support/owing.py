"""Making events owed, and receivers known, for tests that begin in the middle of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from notifier.core.delivery.endpoint import Endpoint
from notifier.core.model.ids import EventId
from notifier.store import OutboxEntry, Owed, Store, schema
from notifier.store.endpoint_state import StateField


async def make_owed(store: Store, wanted: Iterable[tuple[EventId, Sequence[Endpoint]]]) -> set[int]:
    """Dispatch events to endpoints; returns the partitions that have work and no wakeup on its way."""
    chosen = list(wanted)
    logged = await store.events.get_many([event_id for event_id, _ in chosen])
    owed = [
        Owed(
            OutboxEntry(event.id, event.type, event.routing, event.serial, event.space_id, event.sequence),
            endpoints,
        )
        for event, endpoints in ((logged[event_id], endpoints) for event_id, endpoints in chosen)
    ]
    woken = {partition async for step in store.queue.owe(owed) for partition in step.partitions}
    await store.events.undispatched(limit=1, complete=list(logged))
    return woken


async def make_known(store: Store, endpoint: Endpoint) -> None:
    """Have an endpoint past its first contact: its receiver has shown that it takes all that it may get."""
    state = store.partitions.key(schema.STATE, endpoint.id)
    await store.database.redis.hset(state, StateField.CONCURRENCY, endpoint.max_concurrency)
