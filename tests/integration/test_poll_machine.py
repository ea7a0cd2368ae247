"""A state machine: X fails in every way while a worker polls it, and the laws hold throughout."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Final

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from notifier.core.events.event import EventType, PayloadForm
from notifier.core.model.ids import SpaceId
from notifier.core.model.instants import instant
from notifier.core.model.observation import Call
from notifier.core.model.space import Phase
from notifier.core.model.watch import WatchKind, WatchStatus
from tests.support.examples import examples
from tests.support.poll_machine import (
    BY_ID,
    CADENCE_SECONDS,
    LONGEST_TICK_SECONDS,
    MAX_AT_ONCE,
    OUTAGES,
    REFUSABLE,
    SEARCHES,
    SETTLING_SECONDS,
    STEADY,
    SUBJECT_FAULTS,
    UNWATCHED,
    WATCHED,
    Broadcast,
    Loop,
)
from tests.support.processes import RedisServer
from tests.support.rig import NOON

pytestmark = pytest.mark.no_cover

BUDGETS: Final = st.none() | st.sampled_from((0.02, 0.05, 0.2, 0.5, 2.0))
CREATOR: Final = st.sampled_from((*WATCHED, *UNWATCHED[3:]))
LIVE: Final = st.sets(CREATOR, max_size=6)
SUBJECT_FAULT: Final = st.sampled_from(sorted(SUBJECT_FAULTS))
POLLED: Final = st.sampled_from((Call.LOOKUP, Call.CREATORS, Call.SEARCH))
SOON: Final = st.sampled_from((0, 5, 45, 130))
"""Seconds that pass after a change."""

AN_HOUR: Final = 3600.0
MAX_SUBJECT_FAULTS: Final = 2
STEPS_BETWEEN_RESTS: Final = 5
RECOVERY_SECONDS: Final = 2 * AN_HOUR
SECOND_CHANCE_SECONDS: Final = 25 * AN_HOUR
"""When X is asked again for what it refused: a value within an hour, a subject once a day."""

CAUSED: Final = frozenset({EventType.STARTED, EventType.ENDED, EventType.TITLE_CHANGED})
HARMLESS: Final = frozenset({EventType.SPEAKERS_ADDED, EventType.HOSTS_CHANGED, EventType.UPDATED})


class PollMachine(RuleBasedStateMachine):
    """Controls X and the clock."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        with redis.Redis.from_url(self.url) as client:
            client.flushall()
        self.loop = Loop(self.url)
        self.runner = asyncio.Runner()
        self.budget: float | None = None
        self.calm_since = 0.0
        self.outages: list[tuple[float, float]] = []
        self.suspects: set[tuple[Call, str]] = set()
        self.added: dict[tuple[Call, str], float] = {}
        self.announced: dict[str, str] = {}
        self.over: set[str] = set()
        self.steps = 0

    def teardown(self) -> None:
        self.runner.run(self.loop.close())
        self.runner.close()

    # Rules

    @initialize(budget=BUDGETS, at=st.sampled_from((0, 41_000)), on_stage=st.booleans(), live=LIVE)
    def begin(self, budget: float | None, at: int, on_stage: bool, live: set[str]) -> None:
        self.budget = budget
        self.x = self.runner.run(self.loop.open(at=NOON + at, budget=budget))
        for creator, space_id in zip(UNWATCHED, BY_ID, strict=False):
            self.x.start(creator, space_id, ago=AN_HOUR)
        for creator in sorted(live):
            self.x.start(creator, ago=AN_HOUR)
        event_type = "*" if on_stage else "space.started"

        async def watch() -> None:
            await self.loop.rig.endpoint("/hook", PayloadForm.THIN, (event_type,))
            await self.loop.rig.watch(WatchKind.CREATOR, *WATCHED)
            await self.loop.rig.watch(WatchKind.SPACE, *BY_ID)
            await self.loop.rig.watch(WatchKind.SEARCH, *SEARCHES)

        self.runner.run(watch())
        subjects = [(Call.CREATORS, each) for each in WATCHED] + [(Call.SEARCH, each) for each in SEARCHES]
        self.added = dict.fromkeys(subjects, self.x.clock())
        self.something_changes()
        self.pass_time(45)

    @rule(seconds=st.sampled_from((5, 20, 60, 150, 300, 1200)))
    def time_passes(self, seconds: int) -> None:
        self.pass_time(seconds)

    @rule(creator=CREATOR, move=st.sampled_from(("end", "retitle", "speak")), seconds=SOON)
    def x_moves(self, creator: str, move: str, seconds: int) -> None:
        live = self.x.live_of([creator])
        if not live:
            self.x.start(creator)
        elif move == "end":
            live[0].ended_at = self.x.clock()
        else:
            (self.x.retitle if move == "retitle" else self.x.add_speaker)(live[0])
        self.pass_time(seconds)

    @precondition(lambda self: len(self.x.subject_faults) < MAX_SUBJECT_FAULTS)
    @rule(call=POLLED, number=st.integers(0, 11), fault=SUBJECT_FAULT, seconds=SOON)
    def x_chokes_on_a_subject(self, call: Call, number: int, fault: str, seconds: int) -> None:
        live = [each.id for each in self.x.spaces.values() if each.is_live and each.id not in STEADY]
        subjects = {Call.CREATORS: WATCHED, Call.SEARCH: (*SEARCHES,), Call.LOOKUP: live}[call]
        faulty = [each for each in self.x.subject_faults if each[0] is call]
        if not subjects or (call is Call.SEARCH and faulty):
            return
        self.fail_subject(call, subjects[number % len(subjects)], fault)
        self.pass_time(seconds)

    @precondition(lambda self: self.x.subject_faults)
    @rule(number=st.integers(0, MAX_SUBJECT_FAULTS - 1), seconds=SOON)
    def x_answers_for_a_subject_again(self, number: int, seconds: int) -> None:
        del self.x.subject_faults[sorted(self.x.subject_faults)[number % len(self.x.subject_faults)]]
        self.something_changes()
        self.pass_time(seconds)

    @rule(what=st.sampled_from(REFUSABLE), seconds=SOON)
    def x_refuses_a_value_or_takes_that_back(self, what: tuple[str, str], seconds: int) -> None:
        self.x.refused ^= {what}
        self.something_changes()
        self.pass_time(seconds)

    @rule(call=POLLED, outage=st.sampled_from(sorted(OUTAGES)), seconds=st.sampled_from((5, 90, 400)))
    def a_call_is_down(self, call: Call, outage: str, seconds: int) -> None:
        self.x.outages[call] = outage
        began_at = self.x.clock()
        self.outages.append((began_at, began_at + seconds))
        self.pass_time(seconds)
        del self.x.outages[call]
        self.something_changes()

    @rule(lag=st.none() | st.tuples(st.integers(2, 3), st.sampled_from((20, 100, 300))), seconds=SOON)
    def a_replica_lags_or_catches_up(self, lag: tuple[int, float] | None, seconds: int) -> None:
        self.x.lag = lag
        self.pass_time(seconds)

    @precondition(lambda self: self.budget is None and not self.x.subject_faults)
    @rule(creator=st.sampled_from(WATCHED), seconds=st.sampled_from((45, 130, 700)))
    def lookups_do_not_find_what_lists_show(self, creator: str, seconds: int) -> None:
        if (Call.CREATORS, creator) in self.suspects:
            return
        self.x.lost = {each.id for each in self.x.live_of([creator])}
        self.pass_time(seconds)
        self.x.lost = set()

    @rule(fault=st.none() | SUBJECT_FAULT, seconds=SOON)
    def names_are_to_be_resolved(self, fault: str | None, seconds: int) -> None:
        number = len(self.x.users)
        self.x.users |= {f"known{number}": str(500 + number), f"dear{number}": str(501 + number)}
        if fault is not None and len(self.x.subject_faults) < MAX_SUBJECT_FAULTS:
            self.fail_subject(Call.USERS, f"dear{number}", fault)
        names = [f"@{each}{number}" for each in ("known", "dear", "nobody")]
        self.runner.run(self.loop.rig.watch(WatchKind.CREATOR, *names))
        self.pass_time(seconds)

    @rule(seconds=SOON)
    def the_token_is_changed(self, seconds: int) -> None:
        self.runner.run(self.loop.restart_with_token(f"token {self.x.clock()}"))
        self.something_changes()
        self.pass_time(seconds)

    @precondition(lambda self: self.steps >= STEPS_BETWEEN_RESTS)
    @rule()
    def all_is_well_for_long(self) -> None:
        """After X has been healthy for long enough, the true state is known and no subject is suspected."""
        self.x.subject_faults.clear()
        self.x.refused.clear()
        self.x.lag = None
        self.something_changes()
        if self.budget is not None:
            self.budget = None
            self.runner.run(self.loop.restart(daily_budget_usd=None))
        self.pass_time(RECOVERY_SECONDS, shortest=300)
        self.pass_time(SECOND_CHANCE_SECONDS, shortest=9000)
        # So far the loop has slept for hours at a time, which is not a delay caused by X.
        self.something_changes()
        self.pass_time(3 * SETTLING_SECONDS)
        self.runner.run(self.check_that_all_is_known())
        self.runner.run(self.check_that_nothing_is_left())
        self.suspects.clear()
        self.steps = 0

    def fail_subject(self, call: Call, subject: str, fault: str) -> None:
        self.x.subject_faults[call, subject] = fault
        self.suspects.add((call, subject))
        self.something_changes()

    def something_changes(self) -> None:
        self.calm_since = self.x.clock()

    # The laws

    def pass_time(self, seconds: float, *, shortest: float = 0.25) -> None:
        before = Counter(asked.call for asked in self.loop.rig.x.requests)
        after_each = self.check_that_nobody_waits if shortest < 1 else lambda: None
        self.runner.run(self.loop.run(seconds, after_each, shortest=shortest))
        self.steps += 1
        self.check_requests(before, seconds)
        self.check_money()
        self.runner.run(self.check_events())

    def check_requests(self, before: Counter[Call], seconds: float) -> None:
        asked = self.loop.rig.x.requests
        for call, count in (Counter(each.call for each in asked) - before).items():
            assert count <= seconds + MAX_AT_ONCE, f"{count} requests of {call} in {seconds} s"
        at_once = Counter((each.call, int(each.at)) for each in asked[sum(before.values()) :])
        assert all(count <= MAX_AT_ONCE for count in at_once.values()), at_once

    def check_money(self) -> None:
        if self.budget is None:
            return
        highest_price = max(each.price for each in self.x.spaces.values())
        for day in self.x.billed:
            assert self.x.cost(day) <= self.budget * 1000 + highest_price, "the budget was overspent"

    def check_that_nobody_waits(self) -> None:
        """A failing subject delays no other: each is answered at least once per two cadences."""
        if self.budget is not None or self.x.outages:
            return
        now = self.x.clock()
        for call, subject in self.healthy():
            since = max(self.x.answered.get((call, subject), 0.0), self.added.get((call, subject), 0.0))
            wait = now - max(since, self.calm_since + SETTLING_SECONDS)
            most = 2 * CADENCE_SECONDS[call]
            assert wait <= most + LONGEST_TICK_SECONDS, (
                f"{call} has not been answered for {subject} for {wait} s"
            )

    def healthy(self) -> Iterator[tuple[Call, str]]:
        """Yield the subjects without faults; a Space counts once a lookup has shown it."""
        for each in self.added:
            if each not in self.suspects:
                yield each
        for space in self.x.spaces.values():
            subject = Call.LOOKUP, space.id
            if space.is_live and subject in self.x.answered and subject not in self.suspects:
                yield subject

    async def check_events(self) -> None:
        for event in await self.loop.new_events():
            data = json.loads(event.body)["data"]
            if event.space_id is not None:
                assert event.type in CAUSED | HARMLESS, f"{event.type} without a cause: {data}"
                self.check_cause(self.x.spaces[event.space_id], event.type, data["space"].get("title"))
            elif event.type == EventType.SOURCE_DEGRADED:
                at = instant(data["observed_at"]) or 0.0
                assert any(began <= at <= ended for began, ended in self.outages), data["details"]
            elif event.type == EventType.WATCH_FAILED:
                target = data["details"]["watch"]["target"]
                suspects = {subject for _, subject in self.suspects}
                assert target.removeprefix("@") in suspects or target.startswith("@nobody"), data["details"]

    def check_cause(self, space: Broadcast, event_type: str, title: str | None) -> None:
        titles = [each for _, each in space.titles]
        if event_type == EventType.STARTED:
            assert space.id not in self.announced, f"{space.id} was announced twice"
            self.announced[space.id] = title or ""
        elif event_type == EventType.ENDED:
            assert not space.is_live, f"{space.id} lives"
            assert space.id not in self.over, f"the end of {space.id} was announced twice"
            self.over.add(space.id)
        elif event_type == EventType.TITLE_CHANGED:
            before = self.announced[space.id]
            assert title in titles, f"{space.id} never had the title {title}"
            assert not before or titles.index(title) > titles.index(before), f"{title} is older than {before}"
            self.announced[space.id] = title

    async def check_that_all_is_known(self) -> None:
        spaces = {each.id: each for each in self.x.spaces.values()}
        tracked = await self.loop.rig.runtime.store.spaces.read_many(list(spaces))
        for space_id, space in spaces.items():
            known = tracked[SpaceId(space_id)].known
            if space.is_live:
                assert known is not None, f"{space_id} is not known"
                assert (known.phase, known.space.title) == (Phase.LIVE, space.titles[-1][1])
                assert space_id in self.announced
            elif known is not None:
                assert known.phase is Phase.ENDED, f"{space_id} is {known.phase}"
                assert (space_id in self.announced) == (space_id in self.over)

    async def check_that_nothing_is_left(self) -> None:
        store, now = self.loop.rig.runtime.store, self.x.clock()
        health, _ = await store.health.read()
        assert (health.calls, health.vanish_since) == ({}, None)
        assert await store.refusals.current(now) == ()
        for call in CADENCE_SECONDS:
            assert await store.standings.all(call) == {}
            last = self.loop.rig.x.of(call)[-1].query
            assert "title" in last["space.fields"]
            assert "creator_id" in last["expansions"]
        page = await store.watches.page(limit=250, cursor=None)
        for watch in page.items:
            expected = WatchStatus.FAILED if watch.target.startswith("@nobody") else WatchStatus.ACTIVE
            assert watch.status is expected, f"{watch.target} is {watch.status}: {watch.failure_reason}"


@pytest.mark.timeout(300)
def test_the_laws_hold_on_bad_days_of_x(
    redis_server: RedisServer,
) -> None:
    class OverThisServer(PollMachine):
        url = redis_server.url

    run_state_machine_as_test(
        OverThisServer,
        settings=settings(max_examples=examples(5), stateful_step_count=12),
    )
