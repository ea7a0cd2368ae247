"""A state machine: X goes through any history with faults, two workers follow, and the laws hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import ClassVar, Final, TypeAlias

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from notifier.core.events.event import EventType
from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call
from notifier.core.model.space import Space, read_space
from notifier.core.model.watch import OnFirstSight, WatchKind
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.lists import LISTED_SECONDS
from notifier.core.spaces.returns import return_factor
from tests.support.api_runtime import Clock
from tests.support.event_oracle import EventOracle
from tests.support.examples import examples
from tests.support.processes import RedisServer
from tests.support.space_builders import announced_fields
from tests.support.space_machine import (
    CHANGES,
    CROWD,
    MOVES,
    OUTDATED,
    SPACES,
    Answer,
    Fault,
    X,
    matches_x,
    settled_phase,
)
from tests.support.two_workers import CROWD_WATCH, EVERY, TARGETS, StoredState, WorkerPair

pytestmark = [pytest.mark.server, pytest.mark.no_cover]

CALLS: Final = st.sampled_from((Call.LOOKUP, Call.CREATORS, Call.SEARCH))
FAULTS: Final = st.sampled_from(Fault)
FIRST_SIGHT: Final = st.sampled_from(OnFirstSight)
STEPS_LEFT: Final = st.none() | st.integers(0, 3)
SPACE: Final = st.sampled_from(SPACES)
ONE: Final = st.none() | SPACE
SECONDS: Final = st.sampled_from((1, 11, 31, 61, 600, 3600, 13 * 3600))
WATCHES: Final = st.sampled_from(tuple(name for name in TARGETS if name != CROWD_WATCH))
WORKERS: Final = st.integers(0, 1)
MOVE: Final = st.sampled_from(tuple(CHANGES)) | st.sampled_from(tuple(MOVES))
VARIETY: Final = st.integers(0, 5)
Scenes: TypeAlias = list[tuple[str, int, int, bool]]
SCENES: Final = st.lists(
    st.tuples(MOVE, VARIETY, st.sampled_from((0, 1, 31, 600)), st.booleans()), min_size=3, max_size=8
)
"""A move with its variety, the seconds before it, and whether it is polled."""

SCENES_BETWEEN_RESTS: Final = 4
CONFIRMS_SECONDS: Final = 40.0
STEP_SECONDS: Final = 30.0
TIMED_EVENTS: Final = frozenset({EventType.REMINDER, EventType.START_OVERDUE, EventType.REDACTED})


class SpaceMachine(RuleBasedStateMachine):
    """Controls X, the operator, the clock and crashes."""

    url: ClassVar[str]
    answers: Bundle[Answer] = Bundle("answers")

    def __init__(self) -> None:
        super().__init__()
        with redis.Redis.from_url(self.url) as client:
            client.flushall()
        self.clock = Clock()
        self.x = X(self.clock)
        self.pair = WorkerPair(self.url, self.clock, self.x)
        self.oracle = EventOracle()
        self.seen = StoredState()
        self.scenes = 0
        self.runner = asyncio.Runner()
        self.runner.run(self.pair.open())

    def teardown(self) -> None:
        self.runner.run(self.pair.close())
        self.runner.close()

    # Rules around the workers

    @initialize(names=st.sets(WATCHES, min_size=2), first_sight=FIRST_SIGHT, space_id=SPACE, scenes=SCENES)
    def begin(self, names: set[str], first_sight: OnFirstSight, space_id: str, scenes: Scenes) -> None:
        for each in CROWD:
            self.x.move(each, "start", 0)
        for name in (*sorted(names), CROWD_WATCH):
            self.step(partial(self.pair.add, name, first_sight))
        self.poll_everything(0)
        self.x_plays(space_id, scenes)

    @rule(space_id=SPACE, scenes=SCENES)
    def x_plays(self, space_id: str, scenes: Scenes) -> None:
        for move, variety, seconds, is_seen in scenes:
            self.clock.now += seconds
            self.x.move(space_id, move, variety)
            if is_seen:
                self.poll_everything(variety % 2)
        self.scenes += len(scenes)

    @rule(space_id=SPACE, first=MOVE, second=MOVE, variety=VARIETY)
    def x_moves_under_the_eyes_of_both(self, space_id: str, first: str, second: str, variety: int) -> None:
        self.x.move(space_id, first, variety)
        one = self.ask(0, Call.LOOKUP, None, Fault.NONE, 0)
        self.x.move(space_id, second, variety)
        other = self.ask(1, Call.LOOKUP, None, Fault.NONE, 0)
        self.both_apply(one, other, with_timers=False)

    @rule(seconds=SECONDS, worker=st.none() | WORKERS, steps_left=STEPS_LEFT)
    def time_passes(self, seconds: int, worker: int | None, steps_left: int | None) -> None:
        self.clock.now += seconds
        if worker is not None:
            self.step(
                partial(self.pair.run_with_crash, worker, steps_left, partial(self.pair.run_timers, worker))
            )

    @rule(name=WATCHES, first_sight=FIRST_SIGHT, toggles=st.booleans())
    def somebody_changes_a_watch(self, name: str, first_sight: OnFirstSight, toggles: bool) -> None:
        if name not in self.pair.watches:
            self.step(partial(self.pair.add, name, first_sight))
        else:
            self.step(partial(self.pair.toggle if toggles else self.pair.delete, name))

    # Rules of the workers

    @rule(target=answers, worker=WORKERS, call=CALLS, one=ONE, fault=FAULTS, behind=st.integers(1, 5))
    def a_worker_asks(self, worker: int, call: Call, one: str | None, fault: Fault, behind: int) -> Answer:
        return self.ask(worker, call, one, fault, behind)

    @rule(target=answers, worker=WORKERS, call=CALLS, one=ONE, fault=FAULTS, behind=st.integers(1, 5))
    def a_worker_asks_and_applies(
        self, worker: int, call: Call, one: str | None, fault: Fault, behind: int
    ) -> Answer:
        return self.ask_and_apply(worker, call, one, fault, behind)

    @rule(answer=answers, worker=WORKERS, steps_left=STEPS_LEFT)
    def a_worker_applies_an_answer(self, answer: Answer, worker: int, steps_left: int | None) -> None:
        apply = partial(self.pair.apply, worker, answer)
        self.step(partial(self.pair.run_with_crash, worker, steps_left, apply), answer)

    @rule(one=answers, other=answers, with_timers=st.booleans())
    def both_workers_apply_an_answer(self, one: Answer, other: Answer, with_timers: bool) -> None:
        self.both_apply(one, other, with_timers=with_timers)

    @rule(answer=answers, name=WATCHES)
    def a_watch_is_paused_or_resumed_meanwhile(self, answer: Answer, name: str) -> None:
        if name in self.pair.watches:
            self.step(lambda: asyncio.gather(self.pair.apply(0, answer), self.pair.toggle(name)), answer)

    @rule(rounds=st.integers(1, 3), after_restart=st.booleans())
    def all_is_well_for_a_while(self, rounds: int, after_restart: bool) -> None:
        if after_restart:
            self.runner.run(self.pair.close())
            self.runner.run(self.pair.open())
        for number in range(rounds):
            self.clock.now += CONFIRMS_SECONDS
            self.poll_everything(number % 2)
            self.step(partial(self.pair.run_timers, 1))

    @rule(worker=WORKERS, fault=FAULTS, rounds=st.integers(2, 4))
    def a_fault_lasts(self, worker: int, fault: Fault, rounds: int) -> None:
        for behind in range(rounds):
            self.clock.now += CONFIRMS_SECONDS
            self.ask_and_apply(worker, Call.LOOKUP, None, fault, behind)

    @rule(worker=WORKERS, fault=st.sampled_from(sorted(OUTDATED)), rounds=st.integers(2, 6))
    def replicas_alternate(self, worker: int, fault: Fault, rounds: int) -> None:
        for number in range(rounds):
            self.clock.now += CONFIRMS_SECONDS
            self.ask_and_apply(worker, Call.LOOKUP, None, fault if number % 2 else Fault.NONE, 1)

    @rule(worker=WORKERS, one=SPACE, rounds=st.integers(2, 4))
    def lists_show_what_lookups_do_not_find(self, worker: int, one: str, rounds: int) -> None:
        for _ in range(rounds):
            self.clock.now += CONFIRMS_SECONDS
            self.ask_and_apply(worker, Call.LOOKUP, one, Fault.VANISH_ALL, 0)
            self.ask_and_apply(worker, Call.CREATORS, None, Fault.NONE, 0)

    @rule(worker=WORKERS, one=SPACE, seconds=st.sampled_from((3600, 7200, 7260)))
    def lookups_may_not_see_a_space_for_hours(self, worker: int, one: str, seconds: int) -> None:
        for pause in (0, seconds):
            self.clock.now += pause
            self.ask_and_apply(worker, Call.LOOKUP, one, Fault.INACCESSIBLE, 0)

    @precondition(lambda self: self.scenes >= SCENES_BETWEEN_RESTS)
    @rule()
    def x_stands_still(self) -> None:
        """After X has been unchanged for long enough, everything is known and nothing more is announced."""
        self.scenes = 0
        self.x.refresh_timestamps()
        settled = {each: settled_phase(self.seen.known[each], self.x.has.get(each)) for each in EVERY}
        # A list that cannot be polled no longer counts for a Space; repeated returns need more polls.
        self.clock.now += LISTED_SECONDS
        hardest = max(
            return_factor(known, name) for known in self.known_spaces() for name in ("state", "host_ids")
        )
        self.all_is_well_for_a_while(3 + 2 * hardest, after_restart=False)
        serial = self.seen.serial
        self.poll_everything(1)
        assert self.seen.serial == serial or {event.type for event in self.seen.events} <= TIMED_EVENTS
        for space_id in filter(self.is_followed, EVERY):
            known, record = self.seen.known[space_id], self.x.has.get(space_id)
            assert (known and known.phase) == settled[space_id], f"{space_id} is {known}, X has {record}"
            if known and record and not known.phase.is_over and record["state"] in (known.phase, "paused"):
                assert matches_x(known, record), f"{known.space} is not {record}"

    def both_apply(self, one: Answer, other: Answer, *, with_timers: bool) -> None:
        work = [partial(self.pair.apply, 0, one), partial(self.pair.apply, 1, other)]
        if with_timers:
            work += [partial(self.pair.run_timers, 0), partial(self.pair.run_timers, 1)]
        self.step(lambda: asyncio.gather(*(each() for each in work)), one, other)

    def ask(self, worker: int, call: Call, one: str | None, fault: Fault, behind: int) -> Answer:
        answer = self.runner.run(self.pair.ask(worker, call, fault, one=one, behind=behind))
        self.clock.now += 1
        return answer

    def ask_and_apply(self, worker: int, call: Call, one: str | None, fault: Fault, behind: int) -> Answer:
        answer = self.ask(worker, call, one, fault, behind)
        self.step(partial(self.pair.apply, worker, answer), answer)
        return answer

    def poll_everything(self, worker: int) -> None:
        """Have a worker make all calls at once, and apply the healthy answers in turn."""
        asked = [
            self.runner.run(self.pair.ask(worker, call, Fault.NONE))
            for call in (Call.LOOKUP, Call.CREATORS, Call.SEARCH)
        ]
        self.clock.now += 1

        async def apply_all() -> None:
            for answer in asked:
                await self.pair.apply(worker, answer)

        self.step(apply_all, *asked)

    def known_spaces(self) -> list[KnownSpace]:
        """Return the known state of the Spaces seen so far; the crowd always is."""
        return [known for known in self.seen.known.values() if known is not None]

    def is_followed(self, space_id: SpaceId) -> bool:
        return any(
            watch.id in self.seen.watches[space_id]
            or (watch.kind, watch.subject) == (WatchKind.SPACE, space_id)
            for watch in self.pair.polling()
        )

    # The laws

    def step(self, action: Callable[[], Awaitable[object]], *answers: Answer) -> None:
        """Run an action that applies answers, and check the result against the laws."""

        async def act() -> StoredState:
            async with asyncio.timeout(STEP_SECONDS):
                await action()
            return await self.pair.read_state(self.seen)

        before, self.seen = self.seen, self.runner.run(act())
        for answer in answers:
            self.oracle.record(answer, before.known, self.seen.known)
        self.check_events()
        self.oracle.check_known(self.seen.known)
        self.check_polls()
        self.check_that_nothing_goes_back(before)
        if len(answers) == 1:
            self.check_that_silence_and_what_is_outdated_change_nothing(answers[0], before)
            self.check_that_a_mass_vanish_ends_nothing(answers[0])

    def check_events(self) -> None:
        for event in self.seen.events:
            if event.type.startswith("space."):
                # A redaction goes to everyone who received the Space, even if no watch follows it now.
                assert event.data["watch_ids"] or event.type is EventType.REDACTED, "no watch follows it"
                self.oracle.check(event, now=self.clock())
            elif event.type is EventType.WATCH_BASELINE:
                for record in event.data["details"]["spaces"]:
                    self.check_baseline(read_space(record["id"], record))

    def check_baseline(self, space: Space) -> None:
        """A baseline shows a Space in the state of its earlier events, or introduces it."""
        expected = self.oracle.announced.setdefault(space.id, space)
        known = self.seen.known[space.id]
        assert known is not None
        if known.erased:
            space, expected = space.without_content(), expected.without_content()
        assert announced_fields(space) == announced_fields(expected), (
            "a baseline differs from the known state"
        )

    def check_polls(self) -> None:
        polling = self.pair.polling()
        for space_id in map(SpaceId, SPACES):
            polls, watches = self.seen.polls.count(space_id), self.seen.watches[space_id]
            assert polls <= 1
            assert watches or not polls, f"{space_id} is polled without a watch"
            if space_id not in self.seen.forgotten and {watch.id for watch in polling} & set(watches):
                assert polls, f"{space_id} is not polled any more"
        subjects = [
            watch.id if watch.kind is WatchKind.SEARCH else watch.target
            for watch in polling
            if watch.kind is not WatchKind.SPACE
        ]
        assert sorted(self.seen.discovery) == sorted(subjects)

    def check_that_nothing_goes_back(self, before: StoredState) -> None:
        for space_id, known in self.seen.known.items():
            was = before.known[space_id]
            if was is not None:
                assert known is not None
                assert known.began_at >= was.began_at, "an older answer was applied (E4)"
                speakers = set(known.space.speaker_ids or ())
                assert known.erased or set(was.space.speaker_ids or ()) <= speakers

    def check_that_silence_and_what_is_outdated_change_nothing(
        self, answer: Answer, before: StoredState
    ) -> None:
        named = answer.seen().keys() | answer.missing() | answer.unaccounted_for()
        for space_id, was in before.known.items():
            known = self.seen.known[space_id]
            if was is not None and (space_id not in named or answer.began_at < was.began_at):
                # A list that no longer shows a Space is recorded, but changes nothing by itself.
                assert known is not None
                assert known.listed.keys() <= was.listed.keys()
                assert replace(known, listed={}) == replace(was, listed={})

    def check_that_a_mass_vanish_ends_nothing(self, answer: Answer) -> None:
        statements = [self.oracle.statements[space_id] for space_id in (*answer.seen(), *answer.missing())]
        if any(said[-1].in_mass_vanish for said in statements):
            ends = (EventType.ENDED, EventType.CANCELED)
            assert not [e for e in self.seen.events if e.type in ends and e.data["inferred"]]


def test_the_laws_hold_for_any_history_of_x(redis_server: RedisServer) -> None:
    class OverThisServer(SpaceMachine):
        url = redis_server.url

    run_state_machine_as_test(
        OverThisServer,
        settings=settings(max_examples=examples(12), stateful_step_count=30),
    )
