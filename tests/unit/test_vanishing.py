"""Mass vanishes, which are X's fault rather than ends of Spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.spaces.vanishing import (
    BLACKOUT_HOLD_SECONDS,
    CYCLE_SECONDS,
    FLOOR,
    HOLD_SECONDS,
    SHARE,
    is_mass_vanish,
)

NOW = 1_626_249_600.0

moments = st.lists(st.floats(0, 2 * BLACKOUT_HOLD_SECONDS).map(lambda ago: NOW - ago), max_size=60)


@pytest.mark.parametrize(
    ("polled", "missing", "is_mass"),
    [
        (0, 0, False),
        (1, 1, False),
        (5, 5, False),
        (6, 5, False),
        (6, 6, True),
        (10, 5, False),
        (10, 6, True),
        (20, 6, False),
        (20, 7, True),
        (100, 30, False),
        (100, 31, True),
        (1000, 300, False),
        (1000, 301, True),
    ],
)
def test_a_mass_vanish_needs_more_than_five_and_more_than_thirty_percent(
    polled: int, missing: int, is_mass: bool
) -> None:
    assert is_mass_vanish([NOW] * missing, polled, now=NOW) is is_mass


@pytest.mark.parametrize(
    ("ago", "is_mass"), [(0, True), (HOLD_SECONDS - 1, True), (HOLD_SECONDS, False), (10**6, False)]
)
def test_a_partial_vanish_is_believed_eventually(ago: float, is_mass: bool) -> None:
    assert is_mass_vanish([NOW - ago] * 40, 100, now=NOW) is is_mass


@pytest.mark.parametrize(
    ("ago", "is_mass"),
    [(HOLD_SECONDS, True), (BLACKOUT_HOLD_SECONDS - 1, True), (BLACKOUT_HOLD_SECONDS, False)],
)
def test_a_complete_vanish_is_believed_much_later(ago: float, is_mass: bool) -> None:
    assert is_mass_vanish([NOW - ago] * 40, 40, now=NOW) is is_mass


def test_spaces_that_vanish_one_by_one_are_no_mass_vanish() -> None:
    one_by_one = [NOW - 120 * number for number in range(30)]
    assert not is_mass_vanish(one_by_one, 100, now=NOW)


def test_a_hold_is_much_longer_than_a_cycle() -> None:
    assert CYCLE_SECONDS < HOLD_SECONDS < BLACKOUT_HOLD_SECONDS


@given(moments, st.integers(0, 200))
def test_a_few_are_always_believed(missing: list[float], polled: int) -> None:
    assert not is_mass_vanish(missing[:FLOOR], polled, now=NOW)


@given(moments, st.integers(0, 200))
def test_a_larger_vanish_is_never_believed_sooner(missing: list[float], polled: int) -> None:
    if is_mass_vanish(missing, polled, now=NOW):
        assert is_mass_vanish([*missing, NOW], polled, now=NOW)


@given(moments, st.integers(0, 200))
def test_a_mass_vanish_needs_enough_spaces_within_the_longest_hold(missing: list[float], polled: int) -> None:
    lately = [moment for moment in missing if moment > NOW - BLACKOUT_HOLD_SECONDS]
    if len(lately) <= max(FLOOR, SHARE * polled):
        assert not is_mass_vanish(missing, polled, now=NOW)


@given(moments, st.integers(0, 200))
def test_everything_is_believed_after_the_longest_hold(missing: list[float], polled: int) -> None:
    assert not is_mass_vanish(missing, polled, now=NOW + BLACKOUT_HOLD_SECONDS)
