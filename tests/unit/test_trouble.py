from __future__ import annotations

import pytest

from notifier.core.cadence import Cadence
from notifier.core.observation import Failure, FailureKind
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
def test_trouble_of_the_whole_account_pauses_everything(kind: FailureKind) -> None:
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
def test_a_rate_limit_is_waited_for_within_a_window(retry_at: float | None, again_at: float) -> None:
    assert response(FailureKind.RATE_LIMITED, retry_at) == Response(again_at)


def test_holding_back_is_no_trouble() -> None:
    assert response(FailureKind.HELD_BACK, NOW + 5) == Response(NOW + 5, is_trouble=False)
    assert response(FailureKind.HELD_BACK, NOW - 5) == Response(NOW, is_trouble=False)
    assert response(FailureKind.HELD_BACK, NOW + 1e9).ask_again_at == NOW + WINDOW_SECONDS
