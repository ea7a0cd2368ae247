"""Keeps the record of the source's health, and announces changes."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from notifier import metrics
from notifier.core.polling.health import Health, news
from notifier.errors import VersionConflictError
from workers.context import Worker

TRIES = 20
"""How often a note is made again because another poll of this or another worker was quicker."""

log = structlog.get_logger(__name__)


async def note_health(worker: Worker, alter: Callable[[Health], Health]) -> Health:
    """Apply a change to the source's health, and log its events in the same step.

    Raises:
        VersionConflictError: Others kept changing it.
    """
    store, now = worker.runtime.store, worker.runtime.clock()
    for _ in range(TRIES):
        before, record = await store.health.read()
        after = alter(before)
        if after == before:
            return after
        events = news(before, after, now=now)
        if await store.health.replace(record, after, events):
            for event in events:
                worker.runtime.tally.count(metrics.EVENTS, event.type)
                log.warning(event.type, event_id=event.id, **event.data["details"])
            return after
    raise VersionConflictError("the health of the source kept changing while it was noted")
