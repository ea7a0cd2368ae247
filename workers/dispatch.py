"""From the outbox to the endpoints' queues."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from notifier.core.delivery.endpoint import Endpoint
from notifier.core.delivery.filters import is_wanted
from notifier.core.model.ids import EndpointId, EventId
from notifier.store import OutboxEntry, Owed, deliver_job
from workers.context import Worker

BATCH: Final = 250

WITH_BODIES: Final = 4000
"""The number of events whose bodies are read ahead; those of a larger backlog would evict each other from
the cache before they are needed."""

CALL_AGAIN_SECONDS: Final = 0.25
"""How often the other workers are called to a partition: one that finds much to do continues by itself."""


async def empty_outbox(worker: Worker) -> None:
    """Job: dispatch every event in the outbox to its endpoints, and have these deliveries made.

    Repeating it, or doing it in two workers at once, makes no second delivery. Within one worker it runs once
    at a time; events that arrive meanwhile are dispatched by the running call.
    """
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
    complete: list[EventId] = []
    count = 0
    while True:
        events, generation = await store.events.undispatched(
            limit=BATCH, complete=complete, with_bodies=count < WITH_BODIES
        )
        if not events:
            return
        count += len(events)
        complete = [event.id for event in events]
        unknown = await _dispatch(worker, events, await store.endpoints.all(generation=generation))
        while unknown:
            # Created a moment ago and not known in their partitions yet, or deleted: those get nothing.
            existing = {each for each in unknown if await store.endpoints.apply(each)}
            endpoints = await store.endpoints.all()
            again = {each: endpoints[each] for each in existing if each in endpoints}
            unknown = await _dispatch(worker, events, again)


async def _dispatch(
    worker: Worker, events: Sequence[OutboxEntry], endpoints: Mapping[EndpointId, Endpoint]
) -> set[EndpointId]:
    """Dispatch events to subscribed endpoints; return the endpoints unknown to their partition."""
    wanted = [
        Owed(event, [each for each in endpoints.values() if is_wanted(each, event.type, event.routing)])
        for event in events
    ]
    unknown: set[EndpointId] = set()
    async for step in worker.runtime.store.queue.owe(wanted):
        unknown.update(step.unknown)
        for partition in step.partitions:
            worker.start(worker, deliver_job(partition))
        await _call_for_help(worker, step.partitions)
    return unknown


async def _call_for_help(worker: Worker, partitions: Iterable[int]) -> None:
    """Wake the other workers, with a limited frequency."""
    now = asyncio.get_running_loop().time()
    called = [each for each in partitions if worker.help_asked_until.get(each, now) <= now]
    worker.help_asked_until.update(dict.fromkeys(called, now + CALL_AGAIN_SECONDS))
    await worker.runtime.wakeup.deliver(called)
