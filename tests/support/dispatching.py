"""Dispatched events and proven receivers, for tests that start in the middle of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from notifier.core.delivery.endpoint import Endpoint
from notifier.core.model.ids import EventId
from notifier.store import OutboxEntry, Owed, Store, schema
from notifier.store.endpoint_state import StateField


async def dispatch_events(store: Store, wanted: Iterable[tuple[EventId, Sequence[Endpoint]]]) -> set[int]:
    """Dispatch events to endpoints; return the partitions that need a wakeup."""
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


async def allow_full_concurrency(store: Store, endpoint: Endpoint) -> None:
    """Set an endpoint's learned concurrency to its maximum, as after many successful deliveries."""
    state = store.partitions.key(schema.STATE, endpoint.id)
    await store.database.redis.hset(state, StateField.CONCURRENCY, endpoint.max_concurrency)
