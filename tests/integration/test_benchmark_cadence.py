from __future__ import annotations

from dataclasses import replace
from io import StringIO
from statistics import median

import pytest
from rich.console import Console

from benchmarks import watching
from benchmarks.cadence import BAD_DAYS, GOOD_DAYS, print_bad_days
from benchmarks.fixed import Pace
from benchmarks.lives import BEGIN, HOUR, MINUTE, Ending, Kind, Life, Turn, imagine
from benchmarks.sightings import Sightings, Wish
from benchmarks.simulated_x import CREATORS_APART, LIMIT, NO_FAULTS, Faults, SimulatedX
from benchmarks.watching import Watching
from benchmarks.week import REPLICA_LAG, Outcome, Week, equal_paces, live_fixed, live_ours
from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call
from notifier.core.model.poll import Cadence

pytestmark = pytest.mark.no_cover

# An hour of a busy evening's worth of Spaces, among few creators: quick, and everything happens in it.
AN_HOUR = Week(days=1 / 24, creators=300, spaces_a_day=600, settle=0.0)


@pytest.fixture(scope="module")
def ours() -> Outcome:
    return live_ours(AN_HOUR)


@pytest.fixture(scope="module")
def bad() -> Outcome:
    return live_ours(replace(AN_HOUR, bad=True))


@pytest.fixture(scope="module")
def life() -> Life:
    """A Space that nobody knew of before it was live, and that X tells the end of."""
    return next(
        each
        for each in imagine(1, days=1, creators=100, spaces_a_day=50)
        if each.kind is Kind.SPONTANEOUS and each.ending is Ending.SAID and each.created_at > BEGIN
    )


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
    monkeypatch.setattr(watching, "is_settled", lambda _record, _evidence: False)
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


def test_poison_fails_every_request_that_names_it_and_spares_the_others(life: Life) -> None:
    x = SimulatedX([life], shared=False, faults=Faults(poison=frozenset({life.space_id, "7"})))
    now = life.created_at + 1
    asked = [(Call.LOOKUP, (life.space_id,)), (Call.CREATORS, (life.creator_id, "7"))]
    answers = [x.ask(call, subjects, now) for call, subjects in asked]
    assert all(each.unavailable and not each.refused and not each.snapshots for each in answers)
    assert [each.remaining for each in answers] == [LIMIT - 1] * 2
    assert not x.ask(Call.CREATORS, (life.creator_id,), now + 1).unavailable
    assert (x.failed, sum(x.requests.values())) == (2, 3)


def test_every_third_answer_is_as_old_as_its_replica(life: Life) -> None:
    x = SimulatedX([life], shared=False, faults=Faults(lag=2 * MINUTE, every=3))

    def listed(now: float) -> list[bool]:
        return [bool(x.ask(Call.CREATORS, (life.creator_id,), now + each).snapshots) for each in (0, 1, 2)]

    assert listed(life.created_at + MINUTE) == [True, True, False]
    assert listed(life.over_at + MINUTE) == [False, False, True]
    assert listed(life.over_at + 3 * MINUTE) == [False] * 3


def test_what_a_replica_has_is_what_x_had_before(life: Life) -> None:
    x = SimulatedX([life], shared=False, faults=Faults(lag=2 * MINUTE, every=2))
    answers = [x.ask(Call.LOOKUP, (life.space_id,), life.created_at + 1 + each * MINUTE) for each in range(4)]
    assert [life.space_id in answer.not_found for answer in answers] == [False, True, False, False]
    young, _, grown, lagging = (answer.snapshots.get(SpaceId(life.space_id)) for answer in answers)
    assert len({id(each) for each in (young, grown, lagging)}) == 3
    current = SimulatedX([life], shared=False).ask(
        Call.LOOKUP, (life.space_id,), life.created_at + 1 + MINUTE
    )
    assert lagging == current.snapshots[SpaceId(life.space_id)]


def test_on_bad_days_the_longest_space_and_somebody_else_are_poison() -> None:
    lives = AN_HOUR.lives()
    assert AN_HOUR.faults(lives) == NO_FAULTS
    faults = replace(AN_HOUR, bad=True).faults(lives)
    assert (faults.lag, faults.every) == (REPLICA_LAG, 3)
    (space,) = (each for each in lives if each.space_id in faults.poison)
    assert space.created_at <= BEGIN
    assert space.over_at >= AN_HOUR.end
    assert space.creator_id not in faults.poison
    assert len(faults.poison.intersection(AN_HOUR.creator_ids)) == 1


def test_what_happens_to_the_poisonous_is_not_counted(ours: Outcome, bad: Outcome) -> None:
    week = replace(AN_HOUR, bad=True)
    lives = week.lives()
    poison = week.faults(lives).poison
    theirs = [life for life in lives if not poison.isdisjoint((life.space_id, life.creator_id))]
    turns = [at for life in theirs for _, at in life.turns() if BEGIN <= at < week.end]
    assert len(ours.lags) - len(bad.lags) == len(turns)
    assert bad.counts["requests that failed"] > 0


@pytest.mark.parametrize(("poison", "waited"), [("nobody", 50), ("1", 0)])
def test_the_longest_wait_is_that_of_a_healthy_subject(poison: str, waited: float) -> None:
    x, sightings = SimulatedX([], shared=False), Sightings([])
    ours = Watching(x, sightings, ("1",), now=BEGIN, cadence=Cadence(), poison=frozenset({poison}))
    ours.now = BEGIN + 50
    assert ours.longest_open_wait() == waited
    ours.run(until=BEGIN + 70)
    assert ours.longest_open_wait() == 0


def test_what_is_announced_again_is_counted(life: Life) -> None:
    sightings = Sightings([life])
    for later in (1, 2, 3):
        sightings.note(life.space_id, Turn.STARTED, life.created_at + later)
    assert (sightings.untrue, sightings.repeated) == (0, 2)


def test_good_and_bad_days_are_printed_side_by_side(ours: Outcome, bad: Outcome) -> None:
    text = StringIO()
    week = replace(AN_HOUR, bad=True)
    print_bad_days(Console(file=text, width=110), week, {GOOD_DAYS: ours, BAD_DAYS: bad})
    printed = text.getvalue()
    for part in (GOOD_DAYS, BAD_DAYS, "start, spontaneous", "noticed, but false", "most overdue"):
        assert part in printed
    assert f"requests that failed: {bad.counts['requests that failed']:,}" in printed
