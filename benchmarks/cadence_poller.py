"""Our cadence on a simulated clock: the steps of the workers in order, with the real core.

``fill`` chooses each request, ``buckets`` grants it, ``decide`` handles every answer and ``next_poll`` says
when to poll again. Redis, the network and the timers, which ask nothing of X, are left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from benchmarks.failures import FailureHandling
from benchmarks.records import Record, is_settled, reason_of
from benchmarks.schedule import Cycle, Schedule
from benchmarks.sightings import PollReason, Sightings, no_waits
from benchmarks.simulated_spaces import Change
from benchmarks.simulated_x import LIMIT, SimulatedX
from notifier.core.events.event import Event, EventType
from notifier.core.model.ids import SpaceId, WatchId
from notifier.core.model.observation import Call, Evidence, Failure, Observation, Question, Snapshot, failed
from notifier.core.model.poll import Cadence, DuePoll, NextPoll, Urgency
from notifier.core.model.problems import FailureKind
from notifier.core.polling import buckets
from notifier.core.polling.batching import fill
from notifier.core.polling.buckets import Buckets
from notifier.core.spaces.decide import PollContext, decide
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.lists import call_and_subject, list_of, note_left_out, note_shown, shown_by, to_ask
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.next_poll import next_poll
from notifier.core.spaces.plan import overdue_at
from notifier.source import BATCH

LATENCY_SECONDS: Final = {Call.LOOKUP: 0.2, Call.CREATORS: 0.4}
"""How long X takes for an answer, which shows the state half way through."""

CHANGES: Final = {
    EventType.SCHEDULED: Change.ANNOUNCED,
    EventType.RESCHEDULED: Change.RESCHEDULED,
    EventType.STARTED: Change.STARTED,
    EventType.ENDED: Change.ENDED,
    EventType.CANCELED: Change.CANCELED,
}

NEWS: Final = PollContext((WatchId("wch_week"),))
BASELINE: Final = PollContext((WatchId("wch_week"),), silent=True)
VANISHING: Final = PollContext((WatchId("wch_week"),), mass_vanish=True)


class CadencePoller:
    """One worker that polls creators and their Spaces.

    Attributes:
        waits: How long everything waited for its next poll.
        held_back: Requests that our own budget stopped after they had been chosen.
        forwarded: Lookups brought forward because an answer by creator left the Space out.
        vanishings: How often so much was missing that not-found was not believed.
        decided: How often :func:`decide` was called.
        settled: How often it was not, because the same snapshot had left nothing open.
    """

    def __init__(
        self,
        x: SimulatedX,
        sightings: Sightings,
        creators: Sequence[str],
        *,
        now: float,
        cadence: Cadence,
        failing: frozenset[str] = frozenset(),
    ) -> None:
        """Prepare to poll; the waits of the creators and Spaces in ``failing`` are not measured."""
        self.now = now
        self.waits = no_waits()
        self.held_back = self.forwarded = self.vanishings = self.decided = self.settled = 0
        self._x = x
        self._sightings = sightings
        self._cadence = cadence
        self._failing = failing
        self._patience = Patience(needed=2, apart=30.0)
        self._buckets = Buckets()
        self._polls = {call: Schedule() for call in LATENCY_SECONDS}
        self._suspects = {
            call: FailureHandling(call, polls, cadence=cadence) for call, polls in self._polls.items()
        }
        self._records: dict[str, Record] = {}
        self._alive: dict[str, set[str]] = defaultdict(set)
        self._cycle = Cycle()
        self._asked_at: dict[str, float] = {}
        self._began_at = now
        self._creators = creators
        for creator in creators:
            self._polls[Call.CREATORS].file(creator, NextPoll(now, Urgency.PATIENT))

    def run(self, *, until: float) -> None:
        """Run until an epoch second."""
        while self.now < until:
            claimed, wake_at = self._claim()
            if claimed:
                self.now = max([self._take(call, polls) for call, polls in claimed])
            else:
                self.now = max(wake_at, math.nextafter(self.now, math.inf))

    def longest_open_wait(self) -> float:
        """Return how many seconds the longest waiting healthy subject is overdue."""
        healthy = (record for space_id, record in self._records.items() if space_id not in self._failing)
        planned = [record.due.at for record in healthy]
        planned += [
            self._asked_at[creator] + self._cadence.discovery if creator in self._asked_at else self._began_at
            for creator in self._creators
            if creator not in self._failing
        ]
        return max(self.now - min(planned, default=self.now), 0.0)

    def _claim(self) -> tuple[list[tuple[Call, list[DuePoll]]], float]:
        """Claim one question for each call that may be made now, or return when there will be one."""
        claimed, wake_at = [], math.inf
        for call, polls in self._polls.items():
            selection = self._suspects[call].choose(*polls.first(BATCH), now=self.now)
            urgent, patient = selection.urgent, selection.patient
            ahead = self._cadence.scheduled if call is Call.LOOKUP else self._cadence.discovery / 2
            chosen = fill(urgent, patient, now=self.now, soon=self.now + ahead, limit=BATCH)
            if not chosen:
                wake_at = min([wake_at, *(poll.at for poll in (*urgent[:1], *patient[:1]))])
                continue
            wait = buckets.wait(self._buckets, call, _urgency(chosen), now=self.now)
            wait = max(wait, self._suspects[call].paused_until() - self.now)
            if wait > 0:
                wake_at = min(wake_at, self.now + wait)
                continue
            polls.claim(chosen)
            claimed.append((call, chosen))
        return claimed, wake_at

    def _take(self, call: Call, due: Sequence[DuePoll]) -> float:
        """Ask and apply the answer; return its time."""
        observation = self._ask(call, due)
        if observation.failure is not None:
            self._put_off(call, due, observation.failure, now=observation.answered_at)
        else:
            self._suspects[call].answered(observation.question.subjects, now=observation.answered_at)
            self._apply(observation)
        return observation.answered_at

    def _put_off(self, call: Call, due: Sequence[DuePoll], failure: Failure, *, now: float) -> None:
        """Reschedule all subjects of a failed request."""
        if failure.kind is FailureKind.HELD_BACK:
            for poll in due:
                self._polls[call].file(poll.subject, NextPoll(poll.at, poll.urgency))
        else:
            self._suspects[call].failed(due, failure, now=now)

    def _ask(self, call: Call, due: Sequence[DuePoll]) -> Observation:
        question, urgency = Question(call, tuple(poll.subject for poll in due)), _urgency(due)
        wait = buckets.wait(self._buckets, call, urgency, now=self.now)
        if wait > 0:
            self.held_back += 1
            failure = Failure(FailureKind.HELD_BACK, "the budget is used up", self.now + wait)
            return failed(question, failure, self.now, self.now)
        self._buckets = buckets.take(self._buckets, call, urgency, now=self.now)
        answered_at = self.now + LATENCY_SECONDS[call]
        answer = self._x.ask(call, question.subjects, (self.now + answered_at) / 2)
        self._buckets = buckets.learn(
            self._buckets,
            call,
            limit=LIMIT,
            remaining=answer.remaining,
            reset=answer.reset,
            now=answered_at,
        )
        if answer.refused:
            failure = Failure(FailureKind.RATE_LIMITED, "too many requests", answer.reset)
            return failed(question, failure, self.now, answered_at)
        if answer.unavailable:
            failure = Failure(FailureKind.UNAVAILABLE, "X answers 503", suspects_subjects=True)
            return failed(question, failure, self.now, answered_at)
        return Observation(question, self.now, answered_at, answer.snapshots, answer.not_found)

    def _apply(self, observation: Observation) -> None:
        question, now = observation.question, observation.answered_at
        is_mass_vanish = self._note_cycle(observation)
        self.vanishings += is_mass_vanish
        context = VANISHING if is_mass_vanish else NEWS
        asked = () if question.call is Call.LOOKUP else _lists(question.subjects)
        space_ids = question.subjects if question.call is Call.LOOKUP else observation.snapshots
        for space_id in space_ids:
            self._poll(observation.evidence(SpaceId(space_id)), context, asked)
        if question.call is Call.CREATORS:
            self._come_back(question.subjects, now)
            self._poll_absent(observation)

    def _note_cycle(self, observation: Observation) -> bool:
        found = (each for each in observation.snapshots if self._is_alive(each))
        missing = (each for each in observation.not_found if self._is_alive(each))
        return self._cycle.note(found, missing, observation.answered_at)

    def _is_alive(self, space_id: str) -> bool:
        record = self._records.get(space_id)
        return record is not None and not record.known.phase.is_over

    def _poll(self, evidence: Evidence, context: PollContext, asked: Sequence[str]) -> None:
        """Decide on one Space in an answer with these lists, and set its next poll."""
        record, now = self._records.get(evidence.space_id), evidence.answered_at
        if record is not None and evidence.space_id not in self._failing:
            self.waits[record.reason].planned.append(record.due.at - record.polled)
            self.waits[record.reason].actual.append(now - record.polled)
        known = record.known if record else None
        if evidence.snapshot is not None and asked:
            shown = shown_by(evidence.snapshot.space, known.space if known else None, asked)
            context = replace(context, lists=shown)
        if record is not None and is_settled(record, evidence):
            self.settled += 1
            record.known = note_shown(record.known, context.lists, now=now)
            self._file(record, now)
            return
        self.decided += 1
        if record is None and evidence.snapshot and evidence.snapshot.space.creator_id not in self._asked_at:
            context = replace(BASELINE, lists=context.lists)
        decision = decide(known, evidence, patience=self._patience, context=context)
        for event in decision.events:
            self._record(event, now)
        if decision.known is not None:
            for listed in to_ask(known, decision.known, now=now):
                self._polls[Call.CREATORS].bring_forward(call_and_subject(listed)[1], now)
            self._commit(decision.known, evidence.snapshot, now)

    def _record(self, event: Event, now: float) -> None:
        space_id = event.routing.space_id
        if event.type in CHANGES and space_id is not None:
            self._sightings.note(space_id, CHANGES[event.type], now)

    def _commit(self, known: KnownSpace, snapshot: Snapshot | None, now: float) -> None:
        missed_at = overdue_at(known, overdue=self._patience.overdue)
        record = Record(
            known=known,
            snapshot=snapshot,
            polled=now,
            due=NextPoll(now, Urgency.URGENT),
            reason=PollReason.NEAR,
            overdue_at=math.inf if missed_at is None else missed_at,
        )
        self._records[known.space.id] = record
        siblings = self._alive[known.space.creator_id or ""]
        if known.phase.is_over:
            siblings.discard(known.space.id)
            self._cycle.forget(known.space.id)
        else:
            siblings.add(known.space.id)
        self._file(record, now)

    def _file(self, record: Record, now: float) -> None:
        known = record.known
        due = next_poll(known, now=now, cadence=self._cadence, patience=self._patience)
        if due is None:
            self._polls[Call.LOOKUP].drop(known.space.id)
            del self._records[known.space.id]
            return
        record.polled, record.due, record.reason = now, due, reason_of(known, due, now, self._cadence)
        self._polls[Call.LOOKUP].file(known.space.id, due)

    def _come_back(self, creators: Sequence[str], now: float) -> None:
        later, polls = NextPoll(now + self._cadence.discovery, Urgency.PATIENT), self._polls[Call.CREATORS]
        known = [asked_at for creator in creators if (asked_at := self._asked_at.get(creator)) is not None]
        self.waits[PollReason.DISCOVERY].planned.extend([self._cadence.discovery] * len(known))
        self.waits[PollReason.DISCOVERY].actual.extend(now - asked_at for asked_at in known)
        self._asked_at.update(dict.fromkeys(creators, now))
        for creator in creators:
            polls.file(creator, later)

    def _poll_absent(self, observation: Observation) -> None:
        """Queue a lookup of every Space that an answer by creator should have included (E1)."""
        for creator in observation.question.subjects:
            for space_id in self._alive.get(creator, ()):
                if space_id not in observation.snapshots:
                    at, record = observation.answered_at, self._records[space_id]
                    lists = _lists([creator])
                    record.known = note_left_out(record.known, lists, began_at=observation.began_at)
                    self.forwarded += self._polls[Call.LOOKUP].bring_forward(space_id, at)


def _lists(creators: Sequence[str]) -> tuple[str, ...]:
    return tuple(list_of(Call.CREATORS, creator) for creator in creators)


def _urgency(polls: Sequence[DuePoll]) -> Urgency:
    is_urgent = any(poll.urgency is Urgency.URGENT for poll in polls)
    return Urgency.URGENT if is_urgent else Urgency.PATIENT
