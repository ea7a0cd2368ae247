"""The effects of lists that show a Space or no longer show it (E1, E2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call, Observation
from notifier.core.model.watch import Watch, WatchKind
from notifier.core.spaces.lists import call_and_subject, list_of, note_left_out
from notifier.core.spaces.timers import timers_of
from notifier.store import Commit, Job, TrackedSpace
from workers.context import Worker

TRIES: Final = 3
"""How often a list is struck from a Space's record because another worker changed that meanwhile."""


def lists_asked(asking: Iterable[Watch]) -> tuple[str, ...]:
    """Name the lists that are asked for on behalf of watches."""
    return tuple(
        list_of(Call.SEARCH, watch.id)
        if watch.kind is WatchKind.SEARCH
        else list_of(Call.CREATORS, watch.identity)
        for watch in asking
        if watch.kind is not WatchKind.SPACE
    )


async def poll_absent(worker: Worker, asking: Sequence[Watch], observation: Observation) -> None:
    """Queue a lookup of every Space that an answer should have had: absence itself proves nothing (E1)."""
    store = worker.runtime.store
    alive = await store.spaces.alive_of([watch.id for watch in asking])
    absent = alive - observation.snapshots.keys()
    if absent:
        if not observation.is_partial:
            await _leave_out(worker, absent, lists_asked(asking), began_at=observation.began_at)
        await store.polls.add(Call.LOOKUP, absent, at=observation.answered_at)
        await worker.runtime.wakeup.ring(Job.OBSERVE)


async def ask_lists(worker: Worker, lists: Collection[str], *, now: float) -> None:
    """Poll the watched lists at once, because an end waits for their answers (E2)."""
    subjects: dict[Call, list[str]] = {Call.CREATORS: [], Call.SEARCH: []}
    for call, subject in map(call_and_subject, dict.fromkeys(lists)):
        subjects[call].append(subject)
    watches = worker.runtime.store.watches
    creators = (await watches.by_subjects(WatchKind.CREATOR, subjects[Call.CREATORS])).items()
    searches = (await watches.get_many(subjects[Call.SEARCH])).items()
    for call, found in ((Call.CREATORS, creators), (Call.SEARCH, searches)):
        followed = [str(subject) for subject, watch in found if watch.is_polling]
        await worker.runtime.store.polls.add(call, followed, at=now)
    await worker.runtime.wakeup.ring(Job.OBSERVE)


async def _leave_out(
    worker: Worker, space_ids: Collection[SpaceId], lists: Sequence[str], *, began_at: float
) -> None:
    """Record that lists no longer show Spaces."""
    store, remaining = worker.runtime.store, list(space_ids)
    for _ in range(TRIES):
        tracked = await store.spaces.read_many(remaining)
        watches = await store.watches.get_many({each for one in tracked.values() for each in one.watch_ids})
        polling = {each for each, watch in watches.items() if watch.is_polling}
        commits = [
            commit
            for record in tracked.values()
            if (commit := _left_out(worker, record, lists, polling, began_at=began_at)) is not None
        ]
        done = await store.spaces.commit(commits)
        remaining = [each.known.space.id for each, went_in in zip(commits, done, strict=True) if not went_in]
        if not remaining:
            return


def _left_out(
    worker: Worker,
    record: TrackedSpace,
    lists: Sequence[str],
    polling: Collection[str],
    *,
    began_at: float,
) -> Commit | None:
    """Put together what is stored of a Space that lists left out; None where they never showed it."""
    watch_ids = tuple(each for each in record.watch_ids if each in polling)
    if record.known is None or not watch_ids:
        return None
    known = note_left_out(record.known, lists, began_at=began_at)
    if known is record.known:
        return None
    timers = timers_of(known, patience=worker.runtime.patience)
    return Commit(known, record.version, (), watch_ids, timers, keeps_poll=True)
