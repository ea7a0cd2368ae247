"""Turning the names of watched creators into user ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from notifier.core.observation import Call, Observation
from notifier.core.watch import Watch, WatchStatus
from notifier.errors import ConflictError, NotFoundError, VersionConflictError
from workers.context import Worker

UNNAMED_RETRY_SECONDS: Final = 60.0
"""When to ask again about a name of which an answer says nothing at all."""

log = structlog.get_logger(__name__)


async def apply_names(worker: Worker, watch_ids: Sequence[str], observation: Observation) -> None:
    """Make each watch whose name X knows active, and let those fail whose name X does not know."""
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
            await store.looks.schedule(Call.USERS, {watch.id: now + UNNAMED_RETRY_SECONDS})


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
    failed = replace(watch, status=WatchStatus.FAILED, failure_reason=reason)
    try:
        await worker.runtime.store.watches.save(failed, replacing=watch, now=now)
    except (NotFoundError, VersionConflictError):
        # Its owner was quicker; if it still needs its name, its look's lease makes it due again.
        log.info("watch.changed_meanwhile", watch_id=watch.id)
    else:
        log.warning("watch.failed", watch_id=watch.id, reason=reason)
