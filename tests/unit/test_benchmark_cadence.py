from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest

from benchmarks import watching
from benchmarks.fixed import Pace
from benchmarks.lives import BEGIN, HOUR, Ending, Kind, Turn, imagine
from benchmarks.sightings import Sightings, Wish
from benchmarks.simulated_x import CREATORS_APART, LIMIT, SimulatedX
from benchmarks.week import Outcome, Week, equal_paces, live_fixed, live_ours
from notifier.core.observation import Call

# An hour of a busy evening's worth of Spaces, among few creators: quick, and everything happens in it.
AN_HOUR = Week(days=1 / 24, creators=300, spaces_a_day=600, settle=0.0)


@pytest.fixture(scope="module")
def ours() -> Outcome:
    return live_ours(AN_HOUR)


def start_lag(outcome: Outcome) -> float:
    return median(
        lag.seconds
        for lag in outcome.lags
        if lag.turn is Turn.STARTED and lag.kind is not Kind.SPONTANEOUS and lag.seconds is not None
    )


def test_the_same_seed_gives_the_same_hour_and_another_one_another(ours: Outcome) -> None:
    assert live_ours(AN_HOUR) == ours
    assert live_ours(replace(AN_HOUR, seed=2)).lags != ours.lags


def test_everything_that_can_happen_is_noticed_and_nothing_else(ours: Outcome) -> None:
    assert {lag.turn for lag in ours.lags if lag.seconds is not None} == set(Turn)
    assert all(lag.seconds is None or lag.seconds > 0 for lag in ours.lags)
    assert ours.untrue == 0
    assert {Wish.NEAR, Wish.LIVE, Wish.SCHEDULED, Wish.OVER, Wish.DISCOVERY} <= ours.waits.keys()


def test_scheduled_starts_are_noticed_sooner_than_at_fixed_intervals_with_the_same_requests(
    ours: Outcome,
) -> None:
    paces = equal_paces(AN_HOUR, ours)
    rivals = {name: live_fixed(AN_HOUR, pace) for name, pace in paces.items()}
    assert start_lag(ours) < start_lag(rivals["one interval"])
    assert rivals["one interval"].refused == rivals["two intervals"].refused == 0
    for call in (Call.LOOKUP, Call.CREATORS):
        assert rivals["two intervals"].requests[call] == pytest.approx(ours.requests[call], rel=0.02)
    assert Call.LOOKUP not in rivals["creators only"].requests


def test_a_snapshot_that_leaves_nothing_open_may_be_passed_over(
    ours: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_is_settled", lambda _record, _evidence: False)
    assert live_ours(AN_HOUR) == ours


def test_x_refuses_what_is_over_its_limits_and_a_poller_survives_it() -> None:
    hasty = live_fixed(AN_HOUR, Pace(creators=CREATORS_APART * 0.9, lookups=2.0))
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
    life = next(
        each
        for each in imagine(1, days=1, creators=100, spaces_a_day=50)
        if each.kind is Kind.SPONTANEOUS and each.started_at is not None and each.started_at > BEGIN
    )
    x = SimulatedX([life], shared=False)
    for seconds in (1, 20, 40):
        x.ask(Call.CREATORS, (life.creator_id,), life.created_at + seconds)
    assert (x.space_reads, x.user_reads) == (1, 4)


def test_x_loses_or_keeps_what_is_over() -> None:
    for life in imagine(1, days=1, creators=100, spaces_a_day=50):
        x = SimulatedX([life], shared=False)
        answer = x.ask(Call.LOOKUP, (life.space_id,), life.over_at + HOUR)
        assert (life.space_id in answer.not_found) == (life.ending is Ending.GONE)


def test_what_never_happened_is_counted() -> None:
    life = next(each for each in imagine(1, days=1, creators=100, spaces_a_day=50) if not each.started_at)
    sightings = Sightings([life])
    sightings.note(life.space_id, Turn.STARTED, life.over_at + 1)
    assert sightings.untrue == 1
