"""Turning the names of watched creators into user ids, and giving up what X does not accept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from notifier.core.cadence import NextLook
from notifier.core.looking import Urgency
from notifier.core.observation import Call, Failure, Observation, Question
from notifier.core.watch import Watch, WatchKind, WatchStatus
from notifier.errors import ConflictError, NotFoundError, VersionConflictError
from workers.context import Worker

WATCHES_BY: Final = {Call.LOOKUP: WatchKind.SPACE, Call.CREATORS: WatchKind.CREATOR}
"""The calls whose subjects are those of watches of one kind; the others' looks are filed by watch."""

UNNAMED_RETRY_SECONDS: Final = 60.0
"""When to ask again about a name of which an answer says nothing at all."""

TRIES: Final = 5
"""How often a watch is given up again because its owner was quicker."""

log = structlog.get_logger(__name__)


async def apply_names(worker: Worker, watch_ids: Sequence[str], observation: Observation) -> None:
    """Make each watch whose name X knows active, and let those fail whose name X does not know.

    Raises:
        VersionConflictError: One of the watches kept changing.
    """
    store, now = worker.runtime.store, worker.runtime.clock()
    users = {user.username.casefold(): user for user in observation.users.values()}
    unknown = {name.casefold() for name in observation.not_found}
    for watch in (await store.watches.get_many(watch_ids)).values():
        name = watch.target.removeprefix("@").casefold()
        if name in users:
            await _activate(worker, watch, users[name].id, now)
        elif name in unknown:
            await _fail(worker, watch, f"X knows no user {watch.target}", now)
        else:
            later = NextLook(now + UNNAMED_RETRY_SECONDS, Urgency.PATIENT)
            await store.looks.schedule(Call.USERS, {watch.id: later})


async def refuse_subjects(
    worker: Worker, question: Question, subjects: Sequence[str], failure: Failure
) -> set[str]:
    """Give up the subjects that X names as ones that it does not accept, and say so in their watches.

    Args:
        worker: Whose store is meant.
        question: What was asked.
        subjects: What the looks are filed under, in the order of the question's subjects.
        failure: What came of it.

    Returns:
        The subjects that are not asked about any more.

    Raises:
        VersionConflictError: One of the watches kept changing.
    """
    store, now = worker.runtime.store, worker.runtime.clock()
    asked = zip(subjects, question.subjects, strict=True)
    refused = {subject for subject, named in asked if named in failure.refused}
    if not refused:
        return refused
    if question.call in WATCHES_BY:
        watches = (await store.watches.by_subjects(WATCHES_BY[question.call], sorted(refused))).values()
    else:
        watches = (await store.watches.get_many(refused)).values()
    for watch in watches:
        await _fail(worker, watch, f"X does not accept {watch.target}: {failure.detail}", now)
    await store.looks.schedule(question.call, dict.fromkeys(refused))
    return refused


async def _activate(worker: Worker, watch: Watch, user_id: str, now: float) -> None:
    active = replace(watch, subject=user_id, status=WatchStatus.ACTIVE)
    try:
        await worker.runtime.store.watches.save(active, replacing=watch, now=now)
    except ConflictError as conflict:
        await _fail(worker, watch, f"the same creator is watched by {conflict.existing_id}", now)
    except (NotFoundError, VersionConflictError):
        # Its owner was quicker; if it still needs its name, its look's lease makes it due again.
        log.info("watch.changed_meanwhile", watch_id=watch.id)
    else:
        log.info("watch.resolved", watch_id=watch.id, user_id=user_id)


async def _fail(worker: Worker, watch: Watch, reason: str, now: float) -> None:
    """Give a watch up, also where its owner changes it meanwhile: a new label makes no target acceptable.

    Raises:
        VersionConflictError: It kept changing; its look's lease makes it due again.
    """
    watches = worker.runtime.store.watches
    current: Watch | None = watch
    for _ in range(TRIES):
        if current is None or current.status is not watch.status:
            log.info("watch.changed_meanwhile", watch_id=watch.id)
            return
        failed = replace(current, status=WatchStatus.FAILED, failure_reason=reason)
        try:
            await watches.save(failed, replacing=current, now=now)
        except (NotFoundError, VersionConflictError):
            current = (await watches.get_many([watch.id])).get(watch.id)
        else:
            log.warning("watch.failed", watch_id=watch.id, reason=reason)
            return
    raise VersionConflictError(f"watch {watch.id} kept changing while it was given up")
