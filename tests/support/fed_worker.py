"""A worker whose clock the test turns and who is told what X answered."""

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
from workers.context import WORKER, Worker
from workers.deliver import deliver
from workers.dispatch import empty_outbox
from workers.timers import ring_timers

SPACE = SpaceId("1zqKVXPQhvZJB")
MIN_SECONDS_APART = 0.2
"""How far apart two answers must be to confirm each other, under the settings of these tests."""


@asynccontextmanager
async def fed_worker(redis_url: str, clock: Clock, **settings: Any) -> AsyncIterator[Worker]:
    """Return a worker over its own connections; several may share a database and a clock."""
    options = quick_settings(redis_url, confirm_seconds=MIN_SECONDS_APART, **settings)
    async with (
        open_runtime(options, clock=clock) as runtime,
        runtime.delivery_client(max_connections=8) as client,
    ):
        yield Worker("fed", runtime, None, client)


async def tell(
    worker: Worker,
    *records: dict[str, Any],
    missing: Iterable[str] = (),
    users: Sequence[dict[str, str]] = (),
    call: Call = Call.LOOKUP,
    subjects: Sequence[str] = (SPACE,),
) -> None:
    """Let the worker apply an answer that X gives at this moment."""
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


async def tell_lost(worker: Worker, clock: Clock, *missing: str) -> None:
    """Let X name Spaces as not found, as often as it takes to be believed."""
    for _ in range(2):
        clock.now += 1
        await tell(worker, missing=missing or (SPACE,), subjects=missing or (SPACE,))


async def ring(worker: Worker) -> None:
    """Let the worker attend to the timers that ring."""
    await ring_timers({WORKER: worker})


async def deliver_all(worker: Worker) -> None:
    """Dispatch what was committed, and make every attempt that is due."""
    await empty_outbox(worker)
    for partition in range(worker.runtime.settings.delivery_partitions):
        await deliver({WORKER: worker}, partition)


async def known(worker: Worker, space_id: SpaceId = SPACE) -> KnownSpace:
    """Read what is known of a Space."""
    found = (await worker.runtime.store.spaces.get(space_id)).known
    assert found is not None
    return found


async def events_of(worker: Worker, *types: EventType) -> list[LoggedEvent]:
    """Read the log, the oldest first; only these types, where some are named."""
    page = await worker.runtime.store.events.page(limit=100, cursor=None, oldest_first=True)
    return [event for event in page.items if not types or event.type in types]
