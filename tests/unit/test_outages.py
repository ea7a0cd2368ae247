from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.model.observation import Failure
from notifier.core.model.poll import Cadence
from notifier.core.model.problems import FailureKind
from notifier.core.polling.outages import BLIND_WAIT_SECONDS, PAUSE_SECONDS, Response, respond

NOW = 1000.0
CADENCE = Cadence()
WINDOW_SECONDS = 900.0
DAY_SECONDS = 86_400.0
GROWTH = [1, 2, 4, 8, 16, 32, 60, 60, 60]


def response(kind: FailureKind, retry_at: float | None = None, *, refusals: int = 1) -> Response:
    return respond(Failure(kind, "why", retry_at), now=NOW, cadence=CADENCE, refusals=refusals)


def pauses(kind: FailureKind, retry_at: float | None = None) -> list[float]:
    """Return the pauses of a call after consecutive refusals."""
    return [
        (response(kind, retry_at, refusals=each).pause_until or NOW) - NOW
        for each in range(1, len(GROWTH) + 1)
    ]


@pytest.mark.parametrize("kind", PAUSE_SECONDS)
def test_an_outage_of_the_whole_account_pauses_the_call(kind: FailureKind) -> None:
    until = NOW + PAUSE_SECONDS[kind]
    assert response(kind) == Response(until, until)


def test_an_outage_is_retried_soon_and_stops_no_other_call() -> None:
    assert response(FailureKind.UNAVAILABLE) == Response(NOW + CADENCE.near)


def test_a_question_that_x_refuses_waits_long() -> None:
    assert response(FailureKind.REFUSED) == Response(NOW + CADENCE.scheduled)


@pytest.mark.parametrize(
    ("retry_at", "again_at"),
    [
        (NOW + 60, NOW + 60),
        (NOW - 60, NOW + 1),
        (NOW + 5 * 3600, NOW + 5 * 3600),  # a window of 24 hours is used up
        (NOW + 1e9, NOW + DAY_SECONDS),
        (None, NOW + BLIND_WAIT_SECONDS),
    ],
)
def test_a_rate_limit_pauses_the_call_until_the_window_ends(retry_at: float | None, again_at: float) -> None:
    assert response(FailureKind.RATE_LIMITED, retry_at) == Response(again_at, again_at)


def test_waits_grow_with_consecutive_refusals_with_requests_left() -> None:
    assert pauses(FailureKind.TOO_FAST) == GROWTH


def test_waits_grow_when_x_refuses_again_after_a_past_reset() -> None:
    assert pauses(FailureKind.RATE_LIMITED, NOW - 5) == GROWTH
    assert pauses(FailureKind.RATE_LIMITED, NOW) == GROWTH


def test_waits_grow_beyond_the_stated_reset_and_never_end_before_it() -> None:
    assert pauses(FailureKind.RATE_LIMITED, NOW + 10) == [max(10, grown) for grown in GROWTH]


@pytest.mark.parametrize("refusals", [0, 100_000])
def test_any_count_of_refusals_has_its_wait(refusals: int) -> None:
    assert 1 <= (response(FailureKind.TOO_FAST, refusals=refusals).pause_until or 0) - NOW <= 60


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind is not FailureKind.HELD_BACK])
def test_x_is_not_asked_before_its_requested_time(kind: FailureKind) -> None:
    late, soon = NOW + 7200, NOW + 0.5
    assert response(kind, late).ask_again_at == late
    assert response(kind, soon).ask_again_at >= response(kind).ask_again_at - BLIND_WAIT_SECONDS
    assert response(kind, soon).ask_again_at >= soon
    if kind is not FailureKind.REFUSED:
        assert response(kind, late).pause_until == late


def test_an_outage_with_a_retry_time_still_backs_off() -> None:
    assert pauses(FailureKind.UNAVAILABLE, NOW + 2) == [max(CADENCE.near, grown) for grown in GROWTH]


def test_a_request_held_back_stops_no_other_question() -> None:
    assert response(FailureKind.HELD_BACK, NOW + 5) == Response(NOW + 5)
    assert response(FailureKind.HELD_BACK, NOW - 5) == Response(NOW)
    assert response(FailureKind.HELD_BACK, NOW + 1e9) == Response(NOW + WINDOW_SECONDS)
    assert response(FailureKind.HELD_BACK) == Response(NOW + BLIND_WAIT_SECONDS)


@pytest.mark.parametrize("kind", FailureKind)
@given(st.none() | st.floats(0, 1e12), st.integers(1, 1000))
def test_a_failure_is_never_followed_at_once_by_another_question(
    kind: FailureKind, retry_at: float | None, refusals: int
) -> None:
    chosen = response(kind, retry_at, refusals=refusals)
    assert NOW <= chosen.ask_again_at <= NOW + DAY_SECONDS
    assert chosen.ask_again_at > NOW or kind is FailureKind.HELD_BACK
    assert chosen.pause_until is None or chosen.ask_again_at <= chosen.pause_until <= NOW + DAY_SECONDS
