"""From the outbox to the endpoints' queues."""

from __future__ import annotations

from typing import Any, Final

from notifier.core.filters import is_wanted
from workers.context import Worker, worker_of

BATCH: Final = 250


async def dispatch(ctx: dict[str, Any]) -> None:
    """Job: dispatch everything that is in the outbox."""
    await empty_outbox(worker_of(ctx))


async def empty_outbox(worker: Worker) -> None:
    """Make every event in the outbox owed to the endpoints that want it, and have those served.

    Doing it twice, or in two workers at once, changes nothing: an event is owed to an endpoint once. Within
    one worker it is done once at a time; what arrives meanwhile is seen by whoever is at it.
    """
    await worker.runtime.store.begin("dispatch")
    worker.outbox_changed = True
    if worker.dispatching:
        return
    worker.dispatching = True
    try:
        while worker.outbox_changed:
            worker.outbox_changed = False
            await _dispatch_all(worker)
    finally:
        worker.dispatching = False


async def _dispatch_all(worker: Worker) -> None:
    store = worker.runtime.store
    while events := await store.events.undispatched(limit=BATCH):
        endpoints = await store.endpoints.all()
        wanted = [
            (
                event.id,
                [each for each in endpoints.values() if is_wanted(each, event.type, event.routing)],
            )
            for event in events
        ]
        async for partitions in store.queue.owe(wanted):
            for partition in partitions:
                worker.set_off(worker, partition)
            # The other workers may lend a hand.
            await worker.runtime.nudge.deliver(partitions)
