from __future__ import annotations

from dataclasses import replace
from io import StringIO
from statistics import median

import pytest
from rich.console import Console

from benchmarks import cadence_poller
from benchmarks.cadence import BAD_DAYS, GOOD_DAYS, print_bad_days
from benchmarks.cadence_poller import CadencePoller
from benchmarks.fixed import Pace
from benchmarks.sightings import PollReason, Sightings
from benchmarks.simulated_spaces import BEGIN, HOUR, MINUTE, Change, Ending, Kind, SimulatedSpace, generate
from benchmarks.simulated_x import CREATORS_APART, LIMIT, NO_FAULTS, Faults, SimulatedX
from benchmarks.week import REPLICA_LAG, Outcome, Week, equal_paces, run_fixed, run_ours
from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call
from notifier.core.model.poll import Cadence

pytestmark = pytest.mark.no_cover

# One hour with many Spaces of few creators: quick, and every kind of change happens in it.
AN_HOUR = Week(days=1 / 24, creators=300, spaces_a_day=600, settle=0.0)


@pytest.fixture(scope="module")
def ours() -> Outcome:
    return run_ours(AN_HOUR)


@pytest.fixture(scope="module")
def bad() -> Outcome:
    return run_ours(replace(AN_HOUR, bad=True))


@pytest.fixture(scope="module")
def space() -> SimulatedSpace:
    """A spontaneous Space whose end X reports."""
    return next(
        each
        for each in generate(1, days=1, creators=100, spaces_a_day=50)
        if each.kind is Kind.SPONTANEOUS and each.ending is Ending.REPORTED and each.created_at > BEGIN
    )


def start_lag(outcome: Outcome) -> float:
    return median(
        lag.seconds
        for lag in outcome.lags
        if lag.change is Change.STARTED and lag.kind is not Kind.SPONTANEOUS and lag.seconds is not None
    )


def test_equal_seeds_produce_equal_times_and_different_seeds_different_ones() -> None:
    some_minutes = replace(AN_HOUR, days=AN_HOUR.days / 3)
    once = run_ours(some_minutes)
    assert once.lags
    assert run_ours(some_minutes) == once
    assert run_ours(replace(some_minutes, seed=2)).lags != once.lags


def test_every_change_is_noticed_and_nothing_else(ours: Outcome) -> None:
    assert {lag.change for lag in ours.lags if lag.seconds is not None} == set(Change)
    assert all(lag.seconds is None or lag.seconds > 0 for lag in ours.lags)
    assert ours.untrue == 0
    assert {
        PollReason.NEAR,
        PollReason.LIVE,
        PollReason.SCHEDULED,
        PollReason.OVER,
        PollReason.DISCOVERY,
    } <= ours.waits.keys()


def test_scheduled_starts_are_noticed_sooner_than_at_fixed_intervals_with_the_same_requests(
    ours: Outcome,
) -> None:
    paces = equal_paces(AN_HOUR, ours)
    rivals = {name: run_fixed(AN_HOUR, pace) for name, pace in paces.items()}
    assert start_lag(ours) < start_lag(rivals["one interval"])
    assert rivals["one interval"].refused == rivals["two intervals"].refused == 0
    for call in (Call.LOOKUP, Call.CREATORS):
        assert rivals["two intervals"].requests[call] == pytest.approx(ours.requests[call], rel=0.02)
    assert Call.LOOKUP not in rivals["creators only"].requests


def test_skipping_settled_snapshots_changes_nothing(ours: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cadence_poller, "is_settled", lambda _record, _evidence: False)
    assert run_ours(AN_HOUR) == ours


def test_x_refuses_what_is_over_its_limits_and_a_poller_survives_it() -> None:
    hasty = run_fixed(AN_HOUR, Pace(creators=CREATORS_APART * 0.9, lookups=2.0))
    assert hasty.refused > 0
    assert hasty.requests[Call.CREATORS] <= 5 * LIMIT


@pytest.mark.parametrize(("shared", "granted"), [(True, LIMIT), (False, 2 * LIMIT)])
def test_x_counts_calls_together_or_each_by_itself(*, shared: bool, granted: int) -> None:
    x = SimulatedX([], shared=shared)
    for second in range(LIMIT):
        for call in (Call.LOOKUP, Call.CREATORS):
            x.ask(call, (), BEGIN + second * 2)
    assert sum(x.requests.values()) == granted


def test_x_bills_each_space_and_each_person_once_a_day() -> None:
    space = next(
        each
        for each in generate(1, days=1, creators=100, spaces_a_day=50)
        if each.kind is Kind.SPONTANEOUS and each.started_at is not None and each.started_at > BEGIN
    )
    x = SimulatedX([space], shared=False)
    for seconds in (1, 20, 40):
        x.ask(Call.CREATORS, (space.creator_id,), space.created_at + seconds)
    assert (x.space_reads, x.user_reads) == (1, 4)


def test_x_hides_or_keeps_spaces_that_are_over() -> None:
    for space in generate(1, days=1, creators=100, spaces_a_day=50):
        x = SimulatedX([space], shared=False)
        answer = x.ask(Call.LOOKUP, (space.space_id,), space.over_at + HOUR)
        assert (space.space_id in answer.not_found) == (space.ending is Ending.GONE)


def test_untrue_announcements_are_counted() -> None:
    space = next(each for each in generate(1, days=1, creators=100, spaces_a_day=50) if not each.started_at)
    sightings = Sightings([space])
    sightings.note(space.space_id, Change.STARTED, space.over_at + 1)
    assert sightings.untrue == 1


def test_a_failing_subject_fails_every_request_that_names_it_and_no_other(space: SimulatedSpace) -> None:
    x = SimulatedX([space], shared=False, faults=Faults(failing=frozenset({space.space_id, "7"})))
    now = space.created_at + 1
    asked = [(Call.LOOKUP, (space.space_id,)), (Call.CREATORS, (space.creator_id, "7"))]
    answers = [x.ask(call, subjects, now) for call, subjects in asked]
    assert all(each.unavailable and not each.refused and not each.snapshots for each in answers)
    assert [each.remaining for each in answers] == [LIMIT - 1] * 2
    assert not x.ask(Call.CREATORS, (space.creator_id,), now + 1).unavailable
    assert (x.failed, sum(x.requests.values())) == (2, 3)


def test_every_third_answer_comes_from_a_lagging_replica(space: SimulatedSpace) -> None:
    x = SimulatedX([space], shared=False, faults=Faults(lag=2 * MINUTE, every=3))

    def listed(now: float) -> list[bool]:
        return [bool(x.ask(Call.CREATORS, (space.creator_id,), now + each).snapshots) for each in (0, 1, 2)]

    assert listed(space.created_at + MINUTE) == [True, True, False]
    assert listed(space.over_at + MINUTE) == [False, False, True]
    assert listed(space.over_at + 3 * MINUTE) == [False] * 3


def test_a_replica_shows_the_earlier_state_of_x(space: SimulatedSpace) -> None:
    x = SimulatedX([space], shared=False, faults=Faults(lag=2 * MINUTE, every=2))
    answers = [
        x.ask(Call.LOOKUP, (space.space_id,), space.created_at + 1 + each * MINUTE) for each in range(4)
    ]
    assert [space.space_id in answer.not_found for answer in answers] == [False, True, False, False]
    young, _, grown, lagging = (answer.snapshots.get(SpaceId(space.space_id)) for answer in answers)
    assert len({id(each) for each in (young, grown, lagging)}) == 3
    current = SimulatedX([space], shared=False).ask(
        Call.LOOKUP, (space.space_id,), space.created_at + 1 + MINUTE
    )
    assert lagging == current.snapshots[SpaceId(space.space_id)]


def test_on_bad_days_the_longest_space_and_another_creator_fail() -> None:
    simulated_spaces = AN_HOUR.simulated_spaces()
    assert AN_HOUR.faults(simulated_spaces) == NO_FAULTS
    faults = replace(AN_HOUR, bad=True).faults(simulated_spaces)
    assert (faults.lag, faults.every) == (REPLICA_LAG, 3)
    (space,) = (each for each in simulated_spaces if each.space_id in faults.failing)
    assert space.created_at <= BEGIN
    assert space.over_at >= AN_HOUR.end
    assert space.creator_id not in faults.failing
    assert len(faults.failing.intersection(AN_HOUR.creator_ids)) == 1


def test_changes_of_failing_spaces_are_not_counted(ours: Outcome, bad: Outcome) -> None:
    week = replace(AN_HOUR, bad=True)
    simulated_spaces = week.simulated_spaces()
    failing = week.faults(simulated_spaces).failing
    theirs = [
        space for space in simulated_spaces if not failing.isdisjoint((space.space_id, space.creator_id))
    ]
    changes = [at for space in theirs for _, at in space.changes() if BEGIN <= at < week.end]
    assert len(ours.lags) - len(bad.lags) == len(changes)
    assert bad.counts["requests that failed"] > 0


@pytest.mark.parametrize(("failing", "waited"), [("nobody", 50), ("1", 0)])
def test_the_longest_wait_is_that_of_a_healthy_subject(failing: str, waited: float) -> None:
    x, sightings = SimulatedX([], shared=False), Sightings([])
    ours = CadencePoller(x, sightings, ("1",), now=BEGIN, cadence=Cadence(), failing=frozenset({failing}))
    ours.now = BEGIN + 50
    assert ours.longest_open_wait() == waited
    ours.run(until=BEGIN + 70)
    assert ours.longest_open_wait() == 0


def test_repeated_announcements_are_counted(space: SimulatedSpace) -> None:
    sightings = Sightings([space])
    for later in (1, 2, 3):
        sightings.note(space.space_id, Change.STARTED, space.created_at + later)
    assert (sightings.untrue, sightings.repeated) == (0, 2)


def test_good_and_bad_days_are_printed_side_by_side(ours: Outcome, bad: Outcome) -> None:
    text = StringIO()
    week = replace(AN_HOUR, bad=True)
    print_bad_days(Console(file=text, width=110), week, {GOOD_DAYS: ours, BAD_DAYS: bad})
    printed = text.getvalue()
    for part in (GOOD_DAYS, BAD_DAYS, "start, spontaneous", "noticed, but false", "most overdue"):
        assert part in printed
    assert f"requests that failed: {bad.counts['requests that failed']:,}" in printed
