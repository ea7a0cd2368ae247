"""Applies observations: reads the known state, decides, commits, and announces baselines."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import structlog

from notifier import metrics
from notifier.core.events.event import Event, EventType
from notifier.core.model.ids import SpaceId
from notifier.core.model.instants import instant
from notifier.core.model.observation import Call, Observation, Snapshot
from notifier.core.model.poll import NextPoll
from notifier.core.model.watch import Watch, WatchKind
from notifier.core.spaces.decide import PollContext, decide
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.lists import shown_by, to_ask
from notifier.core.spaces.matching import baseline_event, is_silent, people_of, wants_baseline
from notifier.core.spaces.next_poll import next_poll, unseen_poll
from notifier.core.spaces.timers import timers_of
from notifier.core.spaces.transitions import unknown_states
from notifier.errors import VersionConflictError
from notifier.store import Commit, TrackedSpace
from notifier.store.events import WatchChange
from workers.context import Worker
from workers.lists import ask_lists, lists_asked, poll_absent
from workers.vanishing import circumstances

TRIES: Final = 10
"""How often a Space is decided on again because another worker was quicker. Two workers need two."""

MOST_UNKNOWN_WORDS: Final = 20
"""How many words a process tells apart in its log and metrics; the rest is counted together."""

OTHER_WORDS: Final = "other"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Matched:
    """A Space's record and the watches that it belongs to now."""

    tracked: TrackedSpace
    watches: tuple[Watch, ...]

    @classmethod
    def by(cls, tracked: TrackedSpace, watches: Iterable[Watch]) -> Self:
        """Return a Space with those of the watches that are polling, each once and in order of their ids."""
        polling = {watch.id: watch for watch in watches if watch.is_polling}
        return cls(tracked, tuple(polling[each] for each in sorted(polling)))

    def joined_by(self, watches: Iterable[Watch]) -> Self:
        """Return the Space with more watches."""
        return self.by(self.tracked, (*self.watches, *watches))


async def apply_spaces(worker: Worker, subjects: Sequence[str], observation: Observation) -> None:
    """Apply an answer about Spaces.

    Raises:
        VersionConflictError: Others kept changing the same Spaces; the poll's lease makes it due again.
    """
    call = observation.question.call
    _note_unknown_states(worker, observation)
    remaining = [
        SpaceId(each)
        for each in dict.fromkeys((*(subjects if call is Call.LOOKUP else ()), *observation.snapshots))
    ]
    # News is worth most at once: what does not depend on each other is read at the same time.
    asking, context, matched = await asyncio.gather(
        _asking(worker, call, subjects),
        circumstances(worker, observation),
        _match(worker, remaining, observation),
    )
    for _ in range(TRIES):
        remaining = await _apply(worker, matched, observation, asking, context)
        if not remaining:
            break
        matched = await _match(worker, remaining, observation)
    else:
        raise VersionConflictError(f"{len(remaining)} Spaces kept changing while they were decided on")
    answered = [watch for watch in asking if observation.is_answered(watch.subject or "")]
    for watch in answered:
        await _tell_first_poll(worker, watch, observation)
    if call is not Call.LOOKUP:
        await poll_absent(worker, answered, observation)


def _note_unknown_states(worker: Worker, observation: Observation) -> None:
    """Count the words for a state that we do not know, and log each of them once (E6)."""
    for said, count in unknown_states(observation).items():
        words = worker.unknown_words
        if said not in words and len(words) < MOST_UNKNOWN_WORDS:
            words.add(said)
            log.warning("source.unknown_state", word=said)
        word = said if said in words else OTHER_WORDS
        worker.runtime.tally.count(metrics.UNKNOWN_STATES, word, by=count)


async def _asking(worker: Worker, call: Call, subjects: Sequence[str]) -> tuple[Watch, ...]:
    """Find the watches for which a question was asked."""
    watches = worker.runtime.store.watches
    if call is Call.SEARCH:
        found = await watches.get_many(subjects)
        return tuple(watch for watch in found.values() if watch.is_polling)
    kind = WatchKind.SPACE if call is Call.LOOKUP else WatchKind.CREATOR
    by_subject = await watches.by_subjects(kind, subjects)
    return tuple(watch for watch in by_subject.values() if watch.is_polling)


async def _apply(
    worker: Worker,
    matched: Mapping[SpaceId, Matched],
    observation: Observation,
    asking: Sequence[Watch],
    context: PollContext,
) -> list[SpaceId]:
    """Decide and commit once; return the Spaces that other workers changed in the meantime."""
    store, runtime = worker.runtime.store, worker.runtime
    lists = frozenset(lists_asked(asking))
    searching = [watch for watch in asking if watch.kind is WatchKind.SEARCH]
    commits: list[Commit] = []
    in_doubt: list[str] = []
    unseen: dict[str, NextPoll | None] = {}
    unfollowed: list[SpaceId] = []
    for space_id, found in matched.items():
        record = found.joined_by(searching) if space_id in observation.snapshots else found
        decision = decide(
            record.tracked.known,
            observation.evidence(space_id),
            patience=runtime.patience,
            context=_context_of(context, record, observation.snapshots.get(space_id), lists),
        )
        if not record.watches:
            unfollowed.append(space_id)
        elif decision.known is None:
            created_at = min(watch.created_at for watch in record.watches)
            unseen[space_id] = unseen_poll(created_at, now=observation.answered_at, cadence=runtime.cadence)
        else:
            commits.append(_commit(worker, decision.known, decision.events, record))
            in_doubt += to_ask(record.tracked.known, decision.known, now=observation.answered_at)
    await store.polls.schedule(Call.LOOKUP, unseen)
    await store.timers.untrack(unfollowed, now=runtime.clock())
    done = await store.spaces.commit(commits)
    for commit, went_in in zip(commits, done, strict=True):
        if went_in:
            count_events(worker, commit.events)
    if in_doubt:
        await ask_lists(worker, in_doubt, now=observation.answered_at)
    return [commit.known.space.id for commit, went_in in zip(commits, done, strict=True) if not went_in]


def _context_of(
    context: PollContext, record: Matched, snapshot: Snapshot | None, lists: Collection[str]
) -> PollContext:
    """Add to what surrounds an answer what surrounds it for one Space."""
    known = record.tracked.known
    return replace(
        context,
        watch_ids=tuple(watch.id for watch in record.watches),
        lists=shown_by(snapshot.space, known.space if known else None, lists) if snapshot else (),
        silent=is_silent(record.watches),
    )


def _commit(worker: Worker, known: KnownSpace, events: tuple[Event, ...], matched: Matched) -> Commit:
    """Put together what a decision stores."""
    runtime = worker.runtime
    return Commit(
        known,
        matched.tracked.version,
        events,
        tuple(watch.id for watch in matched.watches),
        timers_of(known, patience=runtime.patience),
        next_poll(known, now=runtime.clock(), cadence=runtime.cadence, patience=runtime.patience),
    )


async def _match(
    worker: Worker, space_ids: Sequence[SpaceId], observation: Observation
) -> dict[SpaceId, Matched]:
    """Read the Spaces' records, and find every watch that each belongs to but the searches that show it."""
    store = worker.runtime.store
    tracked = await store.spaces.read_many(space_ids)
    people = {
        space_id: people_of(observation.snapshots.get(space_id), record.known.space if record.known else None)
        for space_id, record in tracked.items()
    }
    everyone = sorted({person for each in people.values() for person in each.all})
    linked, by_space, by_person = await asyncio.gather(
        store.watches.get_many({each for record in tracked.values() for each in record.watch_ids}),
        store.watches.by_subjects(WatchKind.SPACE, space_ids),
        store.watches.by_subjects(WatchKind.CREATOR, everyone),
    )
    matched = {}
    for space_id, record in tracked.items():
        watches = [linked[each] for each in record.watch_ids if each in linked]
        watches += [by_space[space_id]] if space_id in by_space else []
        known_as = people[space_id]
        watches += [
            by_person[person]
            for person in known_as.all
            if person in by_person and known_as.are_followed_by(by_person[person])
        ]
        matched[space_id] = Matched.by(record, watches)
    return matched


async def _tell_first_poll(worker: Worker, watch: Watch, observation: Observation) -> None:
    """Announce once what a new watch found; from then on, changes of its Spaces are announced.

    Raises:
        VersionConflictError: Others kept changing the watch or its Spaces.
    """
    for _ in range(TRIES):
        if not (watch.is_polling and wants_baseline(watch)) or await _baseline(worker, watch, observation):
            return
        found = await worker.runtime.store.watches.get_many([watch.id])
        if watch.id not in found:
            return
        watch = found[watch.id]
    raise VersionConflictError(f"the Spaces of {watch.id} kept changing while its baseline was announced")


async def _baseline(worker: Worker, watch: Watch, observation: Observation) -> bool:
    """Log a watch's baseline; False where the watch, or what it found, was changed meanwhile.

    Its Spaces are listed as they are known at this moment: the answer itself may be cut short, or
    overtaken by another.
    """
    store = worker.runtime.store
    spaces, versions = [], {}
    for space_id, record in (await store.spaces.read_many(list(observation.snapshots))).items():
        if record.known is not None and watch.id in record.watch_ids:
            spaces.append(record.known.space)
            versions[space_id] = record.version
    event = baseline_event(watch, spaces, now=observation.answered_at)
    change = WatchChange(watch, replace(watch, baselined=True), versions)
    if not await store.events.commit(event, change=change):
        return False
    count_events(worker, [event])
    return True


def count_events(worker: Worker, events: Sequence[Event]) -> None:
    """Count events that were committed, and how long after the fact they were seen."""
    tally = worker.runtime.tally
    for event in events:
        tally.count(metrics.EVENTS, event.type)
        log.info(
            "event.committed",
            event_id=event.id,
            type=event.type,
            space_id=event.routing.space_id,
            sequence=event.sequence,
        )
        occurred_at = instant(event.data["occurred_at"])
        observed_at = instant(event.data["observed_at"])
        is_timed = event.type in (EventType.STARTED, EventType.ENDED) and not event.data["first_sighting"]
        if is_timed and occurred_at is not None and observed_at is not None:
            tally.observe(metrics.DETECTION_LAG_SECONDS, max(observed_at - occurred_at, 0.0))
