"""The budget: billing, the forecast of a day, and the order of restrictions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.model.ids import SpaceId, UserId
from notifier.core.model.observation import Call, Observation, Question, Snapshot
from notifier.core.model.poll import Urgency
from notifier.core.model.space import Space, User
from notifier.core.polling.spending import (
    DAY_SECONDS,
    Bill,
    Ledger,
    ThriftLevel,
    billable,
    discovery_stretch,
    forecast,
    hour_of,
    may_read,
    next_day,
    price,
    thrift_level,
)

MIDNIGHT = 19_675 * DAY_SECONDS
NOON = MIDNIGHT + DAY_SECONDS / 2
URGENT, PATIENT = Urgency

HOURLY_READS = st.lists(st.integers(0, 5000), min_size=24, max_size=24)
TIMES = st.floats(0, DAY_SECONDS - 1).map(lambda seconds: MIDNIGHT + seconds)
BUDGETS = st.floats(0.01, 1000)


def ledger(today: dict[int, int], yesterday: dict[int, int] | None = None) -> Ledger:
    """Make a ledger of Space reads by hour."""
    return Ledger(
        space_reads=sum(today.values()),
        hourly=tuple(price(today.get(hour, 0), 0) for hour in range(24)),
        yesterday=tuple(price((yesterday or {}).get(hour, 0), 0) for hour in range(24)),
    )


def until(now: float, reads: list[int]) -> dict[int, int]:
    """Return the reads of the hours that have begun."""
    return {hour: count for hour, count in enumerate(reads) if hour <= hour_of(now)}


def observed(call: Call) -> Observation:
    users = {number: User(UserId(number), "", "") for number in ("1", "2")}
    snapshots = {SpaceId(each): Snapshot(Space(id=SpaceId(each))) for each in ("A", "B")}
    if call is Call.USERS:
        return Observation(Question(call, ("one", "two")), 0, 0, users=users)
    return Observation(Question(call, ("A", "B", "C")), 0, 0, snapshots=snapshots, users=users)


class TestBilling:
    @pytest.mark.parametrize("billed", [True, False])
    @pytest.mark.parametrize("call", [Call.LOOKUP, Call.CREATORS, Call.SEARCH])
    def test_expanded_people_are_billed_according_to_the_setting(self, call: Call, billed: bool) -> None:
        spaces, users = billable(observed(call), expanded_users_billed=billed)
        assert spaces == {"A", "B"}
        assert users == ({"1", "2"} if billed else set())

    def test_requested_users_are_always_billed(self) -> None:
        spaces, users = billable(observed(Call.USERS), expanded_users_billed=False)
        assert spaces == set()
        assert users == {"1", "2"}

    def test_a_bill_adds_up(self) -> None:
        assert Bill(100, 10).usd == pytest.approx(0.60)
        assert Ledger(space_reads=100, user_reads=10).spent == pytest.approx(0.60)

    @pytest.mark.parametrize("seconds", [0, 0.5, 3600, DAY_SECONDS - 0.001])
    def test_the_next_day_begins_at_midnight_in_utc(self, seconds: float) -> None:
        assert next_day(MIDNIGHT + seconds) == MIDNIGHT + DAY_SECONDS

    @pytest.mark.parametrize(("seconds", "hour"), [(0, 0), (3599.9, 0), (3600, 1), (DAY_SECONDS - 1, 23)])
    def test_hours_are_those_of_the_utc_day(self, seconds: float, hour: int) -> None:
        assert hour_of(MIDNIGHT + seconds) == hour


class TestForecast:
    def test_the_first_hour_is_not_extrapolated(self) -> None:
        today = ledger({0: 1000, 1: 10, 2: 10})
        assert forecast(today, now=MIDNIGHT + 3 * 3600 - 1) == pytest.approx(5.10 + 21 * 0.05, abs=0.001)

    def test_nothing_is_projected_during_the_first_hour(self) -> None:
        assert forecast(ledger({9: 1000}), now=MIDNIGHT + 9.9 * 3600) == 5

    def test_a_second_hour_that_has_just_begun_is_not_extrapolated(self) -> None:
        assert forecast(ledger({0: 1000, 1: 10}), now=MIDNIGHT + 3660) < 5 + 24 * 0.05

    def test_the_remaining_hours_cost_what_they_cost_yesterday(self) -> None:
        yesterday = dict.fromkeys(range(24), 10) | {0: 1000, 20: 500}
        expected = 5.0 + 0.5 * 0.05 + 10 * 0.05 + 2.50
        assert forecast(ledger({0: 1000}, yesterday), now=NOON + 1800) == pytest.approx(expected)

    def test_the_rest_of_the_first_hour_does_not_pay_for_everything_again(self) -> None:
        yesterday = dict.fromkeys(range(24), 10) | {0: 1000}
        today = ledger({0: 1000}, yesterday)
        assert forecast(today, now=MIDNIGHT + 60) == pytest.approx(5 + 24 * 0.05, abs=0.01)

    def test_hours_before_yesterdays_records_are_unknown(self) -> None:
        yesterday = {18: 1000} | dict.fromkeys(range(19, 24), 20)
        today = ledger({0: 1000} | dict.fromkeys(range(1, 12), 10), yesterday)
        assert forecast(today, now=NOON) == pytest.approx(5.55 + 7 * 0.05 + 5 * 0.10)

    @given(HOURLY_READS, HOURLY_READS, TIMES)
    def test_a_forecast_is_never_below_what_is_spent(
        self, today: list[int], yesterday: list[int], now: float
    ) -> None:
        day = ledger(until(now, today), dict(enumerate(yesterday)))
        assert 0 <= day.spent <= forecast(day, now=now) < math.inf

    @given(HOURLY_READS, HOURLY_READS, TIMES, st.integers(1, 1000))
    def test_spending_more_never_lowers_the_forecast(
        self, today: list[int], yesterday: list[int], now: float, more: int
    ) -> None:
        reads, before = until(now, today), dict(enumerate(yesterday))
        known = any(reads[hour] for hour in range(hour_of(now)))
        dearer = reads | {hour_of(now): reads[hour_of(now)] + more}
        if known or reads[hour_of(now)]:
            assert forecast(ledger(dearer, before), now=now) > forecast(ledger(reads, before), now=now)

    @given(HOURLY_READS, HOURLY_READS)
    def test_at_the_end_of_the_day_the_forecast_is_the_amount_spent(
        self, today: list[int], yesterday: list[int]
    ) -> None:
        day = ledger(dict(enumerate(today)), dict(enumerate(yesterday)))
        assert forecast(day, now=MIDNIGHT + DAY_SECONDS - 1e-3) == pytest.approx(day.spent, abs=0.001)


class TestThrift:
    def test_without_a_budget_nothing_is_restricted(self) -> None:
        day = ledger({0: 10**9})
        assert discovery_stretch(day, None, now=NOON) == 1
        assert may_read(PATIENT, day, None, spaces=10**9)
        assert thrift_level(day, None, now=NOON) is ThriftLevel.NONE

    @pytest.mark.parametrize(
        ("spent", "level", "stretch", "may"),
        [
            (0, "none", 1.0, (True, True)),
            (10, "none", 1.0, (True, True)),
            (60, "discovery_slowed", 0.6 + 0.6 * 12 / 11, (True, True)),
            (89, "discovery_slowed", 0.89 + 0.89 * 12 / 11, (True, True)),
            (90, "discovery_stopped", math.inf, (True, True)),
            (94, "discovery_stopped", math.inf, (True, True)),
            (95, "scheduled_stopped", math.inf, (True, False)),
            (99, "scheduled_stopped", math.inf, (True, False)),
            (100, "everything_stopped", math.inf, (False, False)),
            (130, "everything_stopped", math.inf, (False, False)),
        ],
    )
    def test_polls_that_can_wait_are_restricted_first(
        self, spent: int, level: str, stretch: float, may: tuple[bool, bool]
    ) -> None:
        """Half of the day is over, and the forecast for the other half is the same."""
        hourly = (0.001, *[spent / 11] * 11, *[0.0] * 12)
        day = Ledger(space_reads=spent * 200, hourly=hourly)
        assert thrift_level(day, 100.0, now=NOON) == level
        assert discovery_stretch(day, 100.0, now=NOON) == pytest.approx(stretch)
        assert (may_read(URGENT, day, 100.0), may_read(PATIENT, day, 100.0)) == may

    def test_no_read_is_started_that_would_exceed_the_budget(self) -> None:
        day = ledger({0: 1990})
        assert may_read(URGENT, day, 10.0, spaces=10)
        assert not may_read(URGENT, day, 10.0, spaces=11)

    def test_discovery_is_slowed_by_ten_times_at_most(self) -> None:
        day = ledger({0: 1} | dict.fromkeys(range(1, 12), 16))
        assert discovery_stretch(day, 1.0, now=NOON) < 10
        yesterday = dict.fromkeys(range(24), 10**6)
        assert discovery_stretch(ledger({0: 1}, yesterday), 1.0, now=NOON) == 10

    @given(HOURLY_READS, HOURLY_READS, TIMES, BUDGETS)
    def test_restrictions_follow_their_order(
        self, today: list[int], yesterday: list[int], now: float, budget: float
    ) -> None:
        day = ledger(until(now, today), dict(enumerate(yesterday)))
        stretch = discovery_stretch(day, budget, now=now)
        assert stretch >= 1
        # Anything that can wait longer is stopped earlier.
        if not may_read(URGENT, day, budget):
            assert not may_read(PATIENT, day, budget)
        if not may_read(PATIENT, day, budget, spaces=0):
            assert stretch == math.inf
        if forecast(day, now=now) <= budget and day.spent < 0.9 * budget:
            assert stretch == 1

    @given(HOURLY_READS, TIMES, BUDGETS)
    def test_a_larger_budget_never_means_more_restrictions(
        self, today: list[int], now: float, budget: float
    ) -> None:
        day, levels = ledger(until(now, today)), list(ThriftLevel)
        tight, wide = thrift_level(day, budget, now=now), thrift_level(day, 2 * budget, now=now)
        assert levels.index(wide) <= levels.index(tight)
        assert discovery_stretch(day, 2 * budget, now=now) <= discovery_stretch(day, budget, now=now)
