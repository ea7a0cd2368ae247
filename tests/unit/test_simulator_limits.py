from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from notifier.simulator.limits import Limits, RateBuckets


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


def test_looking_uses_nothing_and_starts_no_window() -> None:
    buckets = RateBuckets(Limits(requests=1, window_seconds=10))
    assert buckets.state("a", 100.0).remaining == 1
    assert buckets.take("a", 105.0)
    assert buckets.state("a", 105.0).reset == 115


def test_buckets_are_separate() -> None:
    buckets = RateBuckets(Limits(requests=1, window_seconds=10))
    assert buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)
    assert not buckets.take("a", 0.0)


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
