"""Looking: claim what is due, ask X, hand each answer on to be applied, and come back in time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import structlog

from notifier.core.observation import Call, Failure, Question
from notifier.core.trouble import respond
from notifier.errors import VersionConflictError
from notifier.source import BATCH, XClient
from notifier.store import SourcePause
from workers.applying import apply_spaces
from workers.context import Worker, worker_of
from workers.naming import apply_names

SEARCHES_AT_ONCE: Final = 10
ROUNDS: Final = 20
"""How many times one job claims; whatever is still due then is for the next one."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """A question, and the subjects that its look is filed under in the schedule."""

    question: Question
    subjects: tuple[str, ...]


async def observe(ctx: dict[str, Any]) -> None:
    """Job: ask X about everything that is due."""
    worker = worker_of(ctx)
    store, clock = worker.runtime.store, worker.runtime.clock
    await store.begin("observe")
    if worker.x is None:
        return
    for _ in range(ROUNDS):
        trouble = await store.budget.paused()
        if worker.stopping.is_set() or (trouble is not None and trouble.until > clock()):
            return
        looks = await _claim(worker)
        if not looks:
            break
        async with asyncio.TaskGroup() as group:
            for look in looks:
                group.create_task(_take(worker, worker.x, look, trouble))
    next_due = await store.looks.next_due()
    if next_due is not None:
        await worker.runtime.nudge.observe_at(max(next_due, clock()))


async def _claim(worker: Worker) -> list[Look]:
    """Claim what is due and put it into questions."""
    due, watches, now = worker.runtime.store.looks, worker.runtime.store.watches, worker.runtime.clock()
    spaces = await due.claim(Call.LOOKUP, now=now, limit=BATCH)
    creators = await due.claim(Call.CREATORS, now=now, limit=BATCH)
    searches = await watches.get_many(await due.claim(Call.SEARCH, now=now, limit=SEARCHES_AT_ONCE))
    named = await watches.get_many(await due.claim(Call.USERS, now=now, limit=BATCH))
    names = tuple(watch.target.removeprefix("@") for watch in named.values())
    looks = [
        Look(Question(Call.LOOKUP, spaces), spaces),
        Look(Question(Call.CREATORS, creators), creators),
        *(Look(Question(Call.SEARCH, (watch.target,)), (watch.id,)) for watch in searches.values()),
        Look(Question(Call.USERS, names), tuple(named)),
    ]
    return [look for look in looks if look.subjects]


async def _take(worker: Worker, x: XClient, look: Look, trouble: SourcePause | None) -> None:
    """Take one look."""
    observation = await x.ask(look.question)
    call = look.question.call
    result = observation.failure.kind if observation.failure else "ok"
    worker.runtime.tally.count("notifier_observations_total", call, result)
    if observation.failure is not None:
        await _put_off(worker, look, observation.failure)
        return
    if trouble is not None and await worker.runtime.store.budget.resume():
        log.info(
            "source.recovered",
            kind=trouble.kind,
            after_seconds=round(worker.runtime.clock() - trouble.since, 1),
        )
    try:
        if call is Call.USERS:
            await apply_names(worker, look.subjects, observation)
        else:
            await apply_spaces(worker, look.subjects, observation)
    except VersionConflictError as error:
        # The look stays leased and comes back; the other looks of this job go on.
        log.warning("observe.contended", call=call, reason=error.message)


async def _put_off(worker: Worker, look: Look, failure: Failure) -> None:
    """File a look that failed again; trouble is told once, when it begins."""
    store, now = worker.runtime.store, worker.runtime.clock()
    response = respond(failure, now=now, cadence=worker.runtime.cadence)
    if response.is_trouble:
        until = response.pause_until or now
        if await store.budget.pause(failure.kind, failure.detail, now=now, until=until):
            log.warning("source.degraded", kind=failure.kind, detail=failure.detail, call=look.question.call)
    await store.looks.schedule(look.question.call, dict.fromkeys(look.subjects, response.ask_again_at))
