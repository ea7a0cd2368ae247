"""From the outbox to the endpoints' queues."""

from __future__ import annotations

from typing import Any, Final

from notifier.core.filters import is_wanted
from notifier.runtime import Runtime
from workers.context import worker_of

BATCH: Final = 100


async def dispatch(ctx: dict[str, Any]) -> None:
    """Job: dispatch everything that is in the outbox."""
    await empty_outbox(worker_of(ctx).runtime)


async def empty_outbox(runtime: Runtime) -> None:
    """Make every event in the outbox owed to the endpoints that want it, and have those served.

    Doing it twice, or in two workers at once, changes nothing: an event is owed to an endpoint once.
    """
    store = runtime.store
    await store.begin("dispatch")
    while events := await store.events.undispatched(limit=BATCH):
        endpoints = await store.endpoints.all()
        wanted = [
            (
                event.id,
                [each.id for each in endpoints.values() if is_wanted(each, event.type, event.routing)],
            )
            for event in events
        ]
        await runtime.nudge.deliver(await store.deliveries.owe(wanted))
