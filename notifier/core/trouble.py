"""What follows from a failed call to X: how long to leave X alone, and when to ask again (spec: errors)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from notifier.core.cadence import Cadence
from notifier.core.observation import Failure
from notifier.core.problems import FailureKind

PAUSE_SECONDS: Final[Mapping[FailureKind, float]] = {
    FailureKind.UNAUTHORIZED: 300.0,
    FailureKind.CREDITS_DEPLETED: 300.0,
    FailureKind.USAGE_CAPPED: 900.0,
}
"""Failures of the account: asking the same way soon cannot help, so keep trying, rarely."""

WINDOW_SECONDS: Final = 900.0
"""X's rate windows; no reset lies farther away, whatever a header says."""

LEAST_WAIT_SECONDS: Final = 1.0
"""The wait after a rate limit whose reset is past by our clock: it is in whole seconds, and clocks differ."""

BLIND_WAIT_SECONDS: Final = 60.0
"""The wait after a rate limit that does not say when it ends."""


@dataclass(frozen=True, slots=True)
class Response:
    """What to do. Times are epoch seconds.

    Attributes:
        ask_again_at: When the same question is due again.
        pause_until: Until when nothing is asked by this call; None where other questions may be.
    """

    ask_again_at: float
    pause_until: float | None = None


def respond(failure: Failure, *, now: float, cadence: Cadence, refusals: int = 1) -> Response:
    """Choose how to respond to a failure."""
    pause = PAUSE_SECONDS.get(failure.kind)
    if pause is not None:
        return Response(now + pause, now + pause)
    if failure.kind is FailureKind.REFUSED:
        return Response(now + cadence.scheduled)
    if failure.kind is FailureKind.UNAVAILABLE:
        return Response(now + cadence.near)
    if failure.kind is FailureKind.TOO_FAST:
        wait = min(LEAST_WAIT_SECONDS * 2 ** (refusals - 1), BLIND_WAIT_SECONDS)
        return Response(now + wait, now + wait)
    until = failure.retry_at if failure.retry_at is not None else now + BLIND_WAIT_SECONDS
    if failure.kind is FailureKind.HELD_BACK:
        return Response(min(max(until, now), now + WINDOW_SECONDS))
    until = min(max(until, now + LEAST_WAIT_SECONDS), now + WINDOW_SECONDS)
    return Response(until, until)
