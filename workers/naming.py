"""Whose a name is, and whose a Space is, where X does not say so by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from notifier.core.model.observation import Call, Observation
from notifier.core.model.poll import NextPoll, Urgency
from notifier.core.model.problems import SubjectStatus
from notifier.core.model.watch import Watch, WatchStatus
from notifier.core.polling.isolation import halve, label_of
from notifier.core.polling.standing import REFUSED_SECONDS, Standing
from notifier.core.spaces.matching import unattributed
from notifier.errors import ConflictError, NotFoundError, VersionConflictError
from workers.claimed import ClaimedQuestion
from workers.context import Worker
from workers.refusals import fail_watch, refuse

UNNAMED_RETRY_SECONDS: Final = 60.0
"""When to ask again about a name of which an answer says nothing at all."""

log = structlog.get_logger(__name__)


async def apply_names(worker: Worker, poll: ClaimedQuestion, observation: Observation) -> None:
    """Activate watches whose name X knows, and fail those whose name X repeatedly refuses.

    Raises:
        VersionConflictError: One of the watches kept changing.
    """
    store, now = worker.runtime.store, worker.runtime.clock()
    users = {user.username.casefold(): user for user in observation.users.values()}
    watches = await store.watches.get_many(poll.subjects)
    reasons: dict[str, str] = {}
    silent: dict[str, Standing] = {}
    for watch in watches.values():
        name = watch.target.removeprefix("@").casefold()
        reason = _reason(watch, name, observation)
        if name in users:
            await _activate(worker, watch, users[name].id, now)
        elif reason is not None:
            reasons[watch.id] = reason
        else:
            silent[watch.id] = Standing(
                reason=_silence(watch, name, observation), since=now, origin=worker.origin
            )
    later = NextPoll(now + UNNAMED_RETRY_SECONDS, Urgency.PATIENT)
    await store.standings.change(Call.USERS, silent)
    await store.polls.schedule(Call.USERS, dict.fromkeys(silent, later))
    if poll.has_standings:
        await store.standings.note_answer(poll.call, now=observation.answered_at)
    await refuse(worker, poll, reasons, apart=worker.runtime.patience.apart, fails_others=False)


async def ask_each_creator(worker: Worker, poll: ClaimedQuestion, observation: Observation) -> bool:
    """Ask for the Spaces of fewer creators at a time where it is open whose one of them is.

    X leaves ``creator_id`` out at times. Who is asked about alone is its creator.

    Returns:
        Whether that was necessary; the creators are due at once then.
    """
    if poll.call is not Call.CREATORS or len(poll.subjects) == 1:
        return False
    store, now = worker.runtime.store, worker.runtime.clock()
    unclear = unattributed(observation)
    if not unclear:
        return False
    records = await store.spaces.read_many(unclear)
    if all(record.watch_ids for record in records.values()):
        return False
    parts = halve(poll.subjects, poll.standings, label=label_of(poll.subjects, poll.standings, now=now))
    marked = {subject: replace(part, since=now, origin=worker.origin) for subject, part in parts.items()}
    await store.standings.change(poll.call, marked)
    await store.polls.schedule(
        poll.call, {due.subject: NextPoll(max(due.at, now), due.urgency) for due in poll.due}
    )
    return True


def _reason(watch: Watch, name: str, observation: Observation) -> str | None:
    """Return why X does not turn a name into an id, None where it says nothing of it."""
    if name in {unknown.casefold() for unknown in observation.not_found}:
        return f"X knows no user {watch.target}"
    remarks = {asked.casefold(): remark for asked, remark in observation.remarks.items()}
    remark = remarks.get(name)
    if remark is None or remark.status is SubjectStatus.UNANSWERED:
        return None
    words = {SubjectStatus.SUSPENDED: "suspended", SubjectStatus.PROTECTED: "protected"}
    return f"the account {watch.target} is {words[remark.status]}, says X: {remark.detail}"


def _silence(watch: Watch, name: str, observation: Observation) -> str:
    """Return why a name is neither known nor unknown after an answer."""
    remarks = [each.detail for asked, each in observation.remarks.items() if asked.casefold() == name]
    return f"X says: {remarks[0]}" if remarks else f"X's answer does not mention {watch.target}"


async def _activate(worker: Worker, watch: Watch, user_id: str, now: float) -> None:
    store = worker.runtime.store

    def activate(current: Watch) -> Watch:
        return replace(current, subject=user_id, status=WatchStatus.ACTIVE, failure_reason=None)

    try:
        await store.watches.change(watch.id, activate, now=now)
    except ConflictError as conflict:
        reason = f"the same creator is watched by {conflict.existing_id}"
        await fail_watch(worker, watch, reason, since=now)
        later = NextPoll(now + REFUSED_SECONDS, Urgency.PATIENT)
        await store.polls.schedule(Call.USERS, {watch.id: later})
    except (NotFoundError, VersionConflictError):
        # It was deleted, or is changed all the time: then its poll's lease makes it due again.
        log.info("watch.changed_meanwhile", watch_id=watch.id)
    else:
        log.info("watch.resolved", watch_id=watch.id, user_id=user_id)
