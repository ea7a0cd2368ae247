"""Subjects that X refuses: they are asked about minutes apart, then given up and tried once a day."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

import structlog

from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Call
from notifier.core.model.poll import NextPoll, Urgency
from notifier.core.model.watch import Watch, WatchKind, WatchStatus
from notifier.core.polling.standing import NORMAL, Pace, Standing, after_refusal
from notifier.core.spaces.matching import failed_event
from notifier.errors import ConflictError, NotFoundError, VersionConflictError
from notifier.store.events import WatchChange
from workers.applying import count_events
from workers.claimed import ClaimedQuestion
from workers.context import Worker

WATCHES_BY: Final = {Call.LOOKUP: WatchKind.SPACE, Call.CREATORS: WatchKind.CREATOR}
"""The calls whose subjects are those of watches of one kind; the others' polls are filed by watch."""

REFUSALS_APART: Final = 4
"""Two refusals must be so many times as far apart as two sightings to confirm each other: minutes."""

TRIES: Final = 5
"""How often a change of a watch is tried again because its owner was quicker."""

log = structlog.get_logger(__name__)


def pace_of(worker: Worker, call: Call) -> Pace:
    """Return how patient the worker is with the subjects of a call."""
    cadence, patience = worker.runtime.cadence, worker.runtime.patience
    slowed = cadence.live if call is Call.LOOKUP else cadence.discovery
    return Pace(cadence.near, 2 * slowed, patience.needed, REFUSALS_APART * patience.apart)


async def refuse(
    worker: Worker,
    poll: ClaimedQuestion,
    reasons: Mapping[str, str],
    *,
    apart: float | None = None,
    fails_others: bool = True,
) -> None:
    """Record that X refuses subjects, and fail the watches of those repeatedly refused.

    Args:
        worker: Whose store is meant.
        poll: The question.
        reasons: Why, by subject, for people.
        apart: Seconds between two refusals that count; minutes unless given.
        fails_others: Whether a request that names one of them fails as a whole.

    Raises:
        VersionConflictError: One of the watches kept changing.
    """
    store, now, pace = worker.runtime.store, worker.runtime.clock(), pace_of(worker, poll.call)
    if apart is not None:
        pace = replace(pace, apart=apart)
    standings: dict[str, Standing] = {}
    for subject, reason in reasons.items():
        before = poll.standings.get(subject, NORMAL)
        standings[subject], is_believed = after_refusal(
            subject,
            before,
            reason,
            now=now,
            pace=pace,
            origin=worker.origin,
            fails_others=fails_others,
        )
        if is_believed:
            for watch in await watches_of(worker, poll.call, [subject]):
                await fail_watch(worker, watch, reason, since=standings[subject].since)
    await store.standings.change(poll.call, standings)
    await store.polls.schedule(
        poll.call,
        {subject: NextPoll(each.not_before, Urgency.PATIENT) for subject, each in standings.items()},
    )


async def watches_of(worker: Worker, call: Call, subjects: Collection[str]) -> tuple[Watch, ...]:
    """Return the watches that follow these subjects of a call."""
    watches = worker.runtime.store.watches
    if call in WATCHES_BY:
        return tuple((await watches.by_subjects(WATCHES_BY[call], sorted(subjects))).values())
    return tuple((await watches.get_many(subjects)).values())


async def fail_watch(worker: Worker, watch: Watch, reason: str, *, since: float) -> None:
    """Mark a watch as failed and announce it, even if its owner changes it; it is then polled once a day.

    Raises:
        VersionConflictError: It kept changing; its poll's lease makes it due again.
    """
    store, now = worker.runtime.store, worker.runtime.clock()
    current: Watch | None = watch
    for _ in range(TRIES):
        if current is None or current.status is not watch.status or current.status is WatchStatus.FAILED:
            return
        failed = replace(current, status=WatchStatus.FAILED, failure_reason=reason)
        event = failed_event(failed, since=rfc3339(since), now=now)
        if await store.events.commit(event, change=WatchChange(current, failed)):
            count_events(worker, [event])
            log.warning("watch.failed", watch_id=watch.id, reason=reason)
            return
        current = (await store.watches.get_many([watch.id])).get(watch.id)
    raise VersionConflictError(f"watch {watch.id} kept changing while it was given up")


async def revive_watches(worker: Worker, poll: ClaimedQuestion) -> None:
    """Take up the watches again whose subjects X had refused and has answered now."""
    refused = [subject for subject, standing in poll.standings.items() if standing.refusals]
    if not refused or poll.call is Call.USERS:
        return
    for watch in await watches_of(worker, poll.call, refused):
        if watch.status is not WatchStatus.FAILED:
            continue
        try:
            await worker.runtime.store.watches.change(watch.id, _active, now=worker.runtime.clock())
        except (ConflictError, NotFoundError, VersionConflictError):
            # It was deleted, or is changed all the time. The standing stays until the next answer.
            log.info("watch.changed_meanwhile", watch_id=watch.id)
        else:
            log.info("watch.answered_again", watch_id=watch.id)


def _active(watch: Watch) -> Watch:
    return replace(watch, status=WatchStatus.ACTIVE, failure_reason=None)
