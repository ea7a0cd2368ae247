"""Timers, which need no poll: reminders of planned starts, and erasure of what X has lost."""

from __future__ import annotations

from typing import Final

import structlog

from notifier.core.model.ids import SpaceId, WatchId
from notifier.core.model.observation import Call
from notifier.core.spaces.timers import TimerKind, fire, is_to_erase, timers_of
from notifier.store import Commit, TrackedSpace
from workers.applying import count_events
from workers.context import Worker
from workers.dispatch import empty_outbox

BATCH: Final = 100
MOST_PER_PASS: Final = 10_000
"""How many timers of one kind a job handles; the rest is left to the next one."""

log = structlog.get_logger(__name__)


async def fire_timers(worker: Worker) -> None:
    """Job: handle every timer that is due.

    Several workers may do so at once: each timer's outcome is committed against the version of the Space that
    it was decided on, so it happens once. A timer stays due until a commit sets it again; if it is still due
    after that, it waits for the next job, so that every job ends.
    """
    store = worker.runtime.store
    for kind in TimerKind:
        health, _ = await store.health.read()
        # No reminders while the state of the Spaces is unknown.
        if kind is TimerKind.REMINDER and health.hides_spaces:
            continue
        due = await store.timers.due(kind, now=worker.runtime.clock(), limit=MOST_PER_PASS)
        for start in range(0, len(due), BATCH):
            if worker.stopping.is_set():
                break
            batch = due[start : start + BATCH]
            if kind is TimerKind.REMINDER:
                batch = await _without_failing(worker, batch)
            await _handle(worker, kind, batch)
    await empty_outbox(worker)


async def _without_failing(worker: Worker, space_ids: list[SpaceId]) -> list[SpaceId]:
    """Return the Spaces without those on which X fails, whose state is unknown."""
    standings = await worker.runtime.store.standings.of(Call.LOOKUP, space_ids)
    unanswered = {subject for subject, standing in standings.items() if standing.failures > 1}
    return [space_id for space_id in space_ids if space_id not in unanswered]


async def _handle(worker: Worker, kind: TimerKind, due: list[SpaceId]) -> None:
    """Handle due timers of one kind."""
    store, now = worker.runtime.store, worker.runtime.clock()
    tracked = await store.spaces.read_many(due)
    watches = await store.watches.get_many({each for record in tracked.values() for each in record.watch_ids})
    unknown = [space_id for space_id, record in tracked.items() if record.known is None]
    await store.timers.drop(kind, unknown)
    commits = []
    for record in tracked.values():
        polling = tuple(each for each in record.watch_ids if each in watches and watches[each].is_polling)
        commit = await _decide(worker, kind, record, polling, now=now)
        if commit is not None:
            commits.append(commit)
    done = await store.spaces.commit(commits)
    for commit, went_in in zip(commits, done, strict=True):
        if went_in:
            count_events(worker, commit.events)


async def _decide(
    worker: Worker, kind: TimerKind, record: TrackedSpace, polling: tuple[WatchId, ...], *, now: float
) -> Commit | None:
    """Decide what a due timer means; None if the Space is unknown, or if the timer has to stay due."""
    known, runtime = record.known, worker.runtime
    if known is None:
        return None
    erased: int | None = 0
    if kind is TimerKind.ERASURE and is_to_erase(known, now=now, watch_ids=polling):
        erased = await runtime.store.redaction.redact(known.space.id)
        if erased is None:
            return None  # A delivery of one of its events is in flight.
        log.info("space.erased", space_id=known.space.id, events=erased)
    decision = fire(
        known, kind, now=now, patience=runtime.patience, watch_ids=polling, mentioned=bool(erased)
    )
    known = decision.known or known
    timers = timers_of(known, patience=runtime.patience) if polling else {}
    return Commit(known, record.version, decision.events, polling, timers, keeps_poll=True)
