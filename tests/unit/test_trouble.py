from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.cadence import Cadence
from notifier.core.observation import Failure
from notifier.core.problems import FailureKind
from notifier.core.trouble import (
    BLIND_WAIT_SECONDS,
    LEAST_WAIT_SECONDS,
    PAUSE_SECONDS,
    WINDOW_SECONDS,
    Response,
    respond,
)

NOW = 1000.0
CADENCE = Cadence()


def response(kind: FailureKind, retry_at: float | None = None) -> Response:
    return respond(Failure(kind, "why", retry_at), now=NOW, cadence=CADENCE)


@pytest.mark.parametrize("kind", PAUSE_SECONDS)
def test_trouble_of_the_whole_account_pauses_the_call(kind: FailureKind) -> None:
    until = NOW + PAUSE_SECONDS[kind]
    assert response(kind) == Response(until, until)


def test_an_outage_is_asked_about_again_soon_and_stops_nobody() -> None:
    assert response(FailureKind.UNAVAILABLE) == Response(NOW + CADENCE.near)


def test_a_question_that_x_refuses_waits_long() -> None:
    assert response(FailureKind.REFUSED) == Response(NOW + CADENCE.scheduled)


@pytest.mark.parametrize(
    ("retry_at", "again_at"),
    [
        (NOW + 60, NOW + 60),
        (NOW - 60, NOW + LEAST_WAIT_SECONDS),
        (NOW + 1e9, NOW + WINDOW_SECONDS),
        (None, NOW + BLIND_WAIT_SECONDS),
    ],
)
def test_a_rate_limit_pauses_the_call_within_a_window(retry_at: float | None, again_at: float) -> None:
    assert response(FailureKind.RATE_LIMITED, retry_at) == Response(again_at, again_at)


def test_what_was_asked_too_fast_is_asked_again_in_a_moment() -> None:
    again_at = NOW + LEAST_WAIT_SECONDS
    assert response(FailureKind.TOO_FAST, NOW + 600) == Response(again_at, again_at)


def test_holding_back_stops_no_other_question() -> None:
    assert response(FailureKind.HELD_BACK, NOW + 5) == Response(NOW + 5)
    assert response(FailureKind.HELD_BACK, NOW - 5) == Response(NOW)
    assert response(FailureKind.HELD_BACK, NOW + 1e9) == Response(NOW + WINDOW_SECONDS)
    assert response(FailureKind.HELD_BACK) == Response(NOW + BLIND_WAIT_SECONDS)


@pytest.mark.parametrize("kind", FailureKind)
@given(st.none() | st.floats(0, 1e12))
def test_a_failure_is_never_answered_at_once_with_another_question(
    kind: FailureKind, retry_at: float | None
) -> None:
    chosen = response(kind, retry_at)
    assert NOW <= chosen.ask_again_at <= NOW + WINDOW_SECONDS
    assert chosen.ask_again_at > NOW or kind is FailureKind.HELD_BACK
    assert chosen.pause_until in (None, chosen.ask_again_at)
