"""Times stated by X, converted to our clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.model.x_clock import XClock
from notifier.core.polling.buckets import DAY_SECONDS, WINDOW_SECONDS

NOW = 1_700_000_000.0


def after(skew: float, *, took: float = 0.3, clock: XClock | None = None, now: float = NOW) -> XClock:
    """Return the clock after an answer with a ``Date`` header of whole seconds."""
    stamped = float(int(now + took + skew))
    return (clock or XClock()).corrected_by(stamped, began_at=now, answered_at=now + took)


def test_an_answer_without_a_date_changes_nothing() -> None:
    assert XClock(7.0).corrected_by(None, began_at=NOW, answered_at=NOW + 1) == XClock(7.0)


@pytest.mark.parametrize("took", [0.0, 0.3, 4.0, 10.0])
def test_equal_clocks_move_no_reset_however_slow_the_answer(took: float) -> None:
    for fraction in (0.0, 0.4, 0.99):
        assert after(0.0, took=took, now=NOW + fraction) == XClock()


@pytest.mark.parametrize("skew", [-7200.0, -300.0, -90.0, 45.0, 300.0, 86_400.0])
def test_a_reset_is_the_distance_from_the_date_of_its_answer(skew: float) -> None:
    clock = after(skew)
    assert clock.ours(NOW + skew + 600, now=NOW, length=WINDOW_SECONDS) == pytest.approx(NOW + 600, abs=2)
    assert clock.ours(NOW + skew + 600, now=NOW, length=WINDOW_SECONDS) >= NOW + 600
    assert clock.theirs(NOW) == pytest.approx(NOW + skew, abs=2)


@given(st.floats(-4000, 4000), st.lists(st.floats(0, 10), min_size=1, max_size=30))
def test_no_window_moves_by_more_than_the_answers_took(skew: float, delays: list[float]) -> None:
    clock, now, resets = XClock(), NOW, []
    for took in delays:
        clock = after(skew, took=took, clock=clock, now=now)
        resets.append(clock.ours(NOW + skew + 800, now=NOW, length=WINDOW_SECONDS))
        now += took + 1
    assert max(resets) - min(resets) <= max(delays) + 3
    assert all(abs(reset - (NOW + 800)) <= max(delays) + 3 for reset in resets)


@pytest.mark.parametrize("date", [0.0, NOW - 10**8, NOW + 10**8, 253_402_300_799.0])
def test_an_implausible_date_is_ignored(date: float) -> None:
    clock = XClock().corrected_by(date, began_at=NOW, answered_at=NOW + 1)
    assert clock.ours(NOW + 600, now=NOW, length=WINDOW_SECONDS) == NOW + 600
    assert clock.ours(NOW + 70_000, now=NOW, length=DAY_SECONDS) == NOW + 70_000


def test_a_corrected_clock_is_believed_again() -> None:
    wrong = after(-300.0)
    assert after(0.0, clock=wrong).ours(NOW + 600, now=NOW, length=WINDOW_SECONDS) == pytest.approx(
        NOW + 600, abs=2
    )
