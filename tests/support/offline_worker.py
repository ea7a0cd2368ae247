"""A worker that never asks X: a test passes it X's answers and sets its clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from notifier.core.events.event import EventType
from notifier.core.model.answers import read_answer
from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call, Question
from notifier.core.spaces.known import KnownSpace
from notifier.runtime import open_runtime
from notifier.store import LoggedEvent
from tests.support.api_runtime import Clock
from tests.support.pipeline import quick_settings
from workers.applying import apply_spaces
from workers.clients import delivery_client
from workers.context import Worker
from workers.deliver import deliver
from workers.dispatch import empty_outbox
from workers.timers import fire_timers

SPACE = SpaceId("1zqKVXPQhvZJB")
MIN_SECONDS_APART = 0.2
"""How far apart two answers must be to confirm each other, with these settings."""


@asynccontextmanager
async def offline_worker(redis_url: str, clock: Clock, **settings: Any) -> AsyncIterator[Worker]:
    """Open a worker with its own connections; several may share a database and a clock."""
    options = quick_settings(redis_url, confirm_seconds=MIN_SECONDS_APART, **settings)
    async with (
        open_runtime(options, clock=clock) as runtime,
        delivery_client(runtime, max_connections=8) as client,
    ):
        yield Worker("fed", runtime, None, client)


async def apply_answer(
    worker: Worker,
    *records: dict[str, Any],
    missing: Iterable[str] = (),
    users: Sequence[dict[str, str]] = (),
    call: Call = Call.LOOKUP,
    subjects: Sequence[str] = (SPACE,),
) -> None:
    """Have the worker apply an answer that X gives now."""
    errors = [
        {
            "resource_type": "space",
            "resource_id": each,
            "type": "https://api.x.com/2/problems/resource-not-found",
        }
        for each in missing
    ]
    body = {"data": list(records), "errors": errors, "includes": {"users": list(users)}}
    now = worker.runtime.clock()
    question = Question(call, tuple(subjects))
    await apply_spaces(worker, subjects, read_answer(question, body, now, now))


async def apply_not_found(worker: Worker, clock: Clock, *missing: str) -> None:
    """Apply not-found answers until they are confirmed."""
    for _ in range(2):
        clock.now += 1
        await apply_answer(worker, missing=missing or (SPACE,), subjects=missing or (SPACE,))


async def run_timers(worker: Worker) -> None:
    """Run the job that handles due timers."""
    await fire_timers(worker)


async def deliver_all(worker: Worker) -> None:
    """Dispatch all committed events, and make every attempt that is due."""
    await empty_outbox(worker)
    for partition in range(worker.runtime.settings.delivery_partitions):
        await deliver(worker, partition)


async def known(worker: Worker, space_id: SpaceId = SPACE) -> KnownSpace:
    """Return what is known about a Space."""
    found = (await worker.runtime.store.spaces.get(space_id)).known
    assert found is not None
    return found


async def events_of(worker: Worker, *types: EventType) -> list[LoggedEvent]:
    """Return the logged events, oldest first; only these types if any are given."""
    page = await worker.runtime.store.events.page(limit=100, cursor=None, oldest_first=True)
    return [event for event in page.items if not types or event.type in types]
