from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from notifier.simulator.limits import Limits, Pace, RateBuckets


def test_a_window_starts_at_its_first_request_and_ends_at_its_reset() -> None:
    buckets = RateBuckets(Limits(requests=2, window_seconds=10))
    assert buckets.take("a", 100.5)
    assert buckets.state("a", 100.5).headers == {
        "x-rate-limit-limit": "2",
        "x-rate-limit-remaining": "1",
        "x-rate-limit-reset": "111",
    }
    assert buckets.take("a", 105.0)
    assert not buckets.take("a", 110.9)
    assert buckets.take("a", 111.0)
    assert buckets.state("a", 111.0).reset == 121


def test_polling_uses_nothing_and_starts_no_window() -> None:
    buckets = RateBuckets(Limits(requests=1, window_seconds=10))
    assert buckets.state("a", 100.0).remaining == 1
    assert buckets.take("a", 105.0)
    assert buckets.state("a", 105.0).reset == 115


def test_buckets_are_separate() -> None:
    buckets = RateBuckets(Limits(requests=1, window_seconds=10))
    assert buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)
    assert not buckets.take("a", 0.0)


def test_a_shared_bucket_is_one_for_all_names() -> None:
    buckets = RateBuckets(Limits(requests=2, window_seconds=10), shared=True)
    assert buckets.take("a", 100.0)
    assert buckets.state("b", 103.0).headers == buckets.state("a", 103.0).headers
    assert buckets.take("b", 103.0)
    assert not buckets.take("a", 109.0)
    assert buckets.state("c", 109.0).headers == {
        "x-rate-limit-limit": "2",
        "x-rate-limit-remaining": "0",
        "x-rate-limit-reset": "110",
    }


def test_a_pace_of_one_refuses_the_second_request_of_a_second() -> None:
    pace = Pace(1)
    assert pace.take(100.0)
    assert not pace.take(100.0)
    assert not pace.take(100.8)
    assert pace.take(101.0)
    assert not pace.take(101.5)


def test_one_request_a_second_is_not_refused_because_of_jitter() -> None:
    pace = Pace(1)
    assert all(pace.take(now) for now in (100.04, 101.0, 102.03, 102.95))


def test_a_clock_set_back_blocks_no_request() -> None:
    pace = Pace(1)
    assert pace.take(100.0)
    assert pace.take(40.0)
    assert not pace.take(40.5)


def test_a_pace_of_three_allows_three_at_once() -> None:
    pace = Pace(3)
    assert [pace.take(now) for now in (100.0, 100.0, 100.5, 100.6, 101.0, 101.2, 101.3)] == [
        True,
        True,
        True,
        False,
        True,
        True,
        False,
    ]


def test_a_pace_of_zero_allows_everything() -> None:
    pace = Pace(0)
    assert all(pace.take(100.0) for _ in range(1000))


@given(st.lists(st.integers(0, 8).map(lambda quarters: quarters / 4), max_size=60), st.integers(1, 4))
def test_no_second_exceeds_the_pace(waits: list[float], per_second: int) -> None:
    pace = Pace(per_second)
    now, taken = 0.0, []
    for wait in waits:
        now += wait
        if pace.take(now):
            taken.append(now)
        assert sum(now - 0.9 < each for each in taken) <= per_second


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5))
def test_no_window_grants_more_than_its_limit(waits: list[float], limit: int) -> None:
    buckets = RateBuckets(Limits(requests=limit, window_seconds=7))
    granted: dict[int, int] = {}
    now = 0.0
    for wait in waits:
        now += wait
        if buckets.take("a", now):
            reset = buckets.state("a", now).reset
            assert reset >= now
            granted[reset] = granted.get(reset, 0) + 1
        else:
            assert buckets.state("a", now).remaining == 0
    assert all(count <= limit for count in granted.values())
