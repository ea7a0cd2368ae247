from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.delivery.retry import (
    DEFAULT_SCHEDULE,
    MAX_JITTER,
    UNCOUNTED_DELAY_SECONDS,
    RetrySchedule,
    next_attempt_at,
)
from notifier.errors import ConfigError

NOW = 1_700_000_000.0

schedules = st.lists(st.floats(0, 1e6), max_size=12).map(lambda delays: RetrySchedule(tuple(delays)))
jitters = st.floats(0, 1)
waits = st.none() | st.floats(0, 86_400)


def test_the_default_schedule_makes_ten_attempts_over_75_6_hours() -> None:
    due, attempts = NOW, 1
    while (at := next_attempt_at(DEFAULT_SCHEDULE, attempts_made=attempts, now=due, jitter=0)) is not None:
        due, attempts = at, attempts + 1
    assert attempts == 10
    assert (due - NOW) / 3600 == pytest.approx(75.6, abs=0.05)


@pytest.mark.parametrize(
    ("attempts_made", "delay"),
    [(1, 5), (2, 300), (3, 1800), (4, 7200), (5, 18000), (6, 36000), (7, 50400), (8, 72000), (9, 86400)],
)
def test_each_failure_has_its_delay(attempts_made: int, delay: float) -> None:
    assert next_attempt_at(DEFAULT_SCHEDULE, attempts_made=attempts_made, now=NOW, jitter=0) == NOW + delay


def test_before_any_attempt_counted_the_first_delay_holds() -> None:
    assert next_attempt_at(DEFAULT_SCHEDULE, attempts_made=0, now=NOW, jitter=0) == NOW + 5


def test_the_schedule_ends() -> None:
    assert next_attempt_at(DEFAULT_SCHEDULE, attempts_made=10, now=NOW, jitter=0, retry_after=60) is None
    assert next_attempt_at(RetrySchedule(()), attempts_made=1, now=NOW, jitter=0) is None


def test_a_manual_attempt_beyond_the_schedule_does_not_reopen_it() -> None:
    assert next_attempt_at(DEFAULT_SCHEDULE, attempts_made=25, now=NOW, jitter=0) is None


@pytest.mark.parametrize("attempts_made", [0, 5, 9, 10])
def test_our_own_fault_does_not_advance_the_schedule(attempts_made: int) -> None:
    at = next_attempt_at(DEFAULT_SCHEDULE, attempts_made=attempts_made, now=NOW, jitter=0, counted=False)
    assert at == NOW + UNCOUNTED_DELAY_SECONDS


@given(schedules, st.integers(1, 15), jitters, waits)
def test_the_wait_is_never_shorter_than_the_schedule_or_the_retry_after(
    schedule: RetrySchedule, attempts_made: int, jitter: float, retry_after: float | None
) -> None:
    at = next_attempt_at(
        schedule, attempts_made=attempts_made, now=0.0, jitter=jitter, retry_after=retry_after
    )
    assert (at is None) == (attempts_made > len(schedule.delays))
    if at is not None:
        floor = max(schedule.delays[attempts_made - 1], retry_after or 0)
        assert floor <= at <= floor * (1 + MAX_JITTER) * (1 + 1e-12)


@given(schedules, st.integers(1, 12), jitters, jitters)
def test_more_jitter_never_means_earlier(
    schedule: RetrySchedule, attempts_made: int, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    early = next_attempt_at(schedule, attempts_made=attempts_made, now=0.0, jitter=low)
    late = next_attempt_at(schedule, attempts_made=attempts_made, now=0.0, jitter=high)
    assert (early is None) == (late is None)
    assert early is None or late is None or early <= late


@pytest.mark.parametrize("delay", [-1.0, math.inf, math.nan])
def test_a_schedule_with_invalid_seconds_is_refused(delay: float) -> None:
    with pytest.raises(ConfigError, match="retry schedule"):
        RetrySchedule((5.0, delay))
