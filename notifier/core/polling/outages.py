"""What follows from a failed call to X: how long to pause, and when to ask again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from notifier.core.model.observation import Failure
from notifier.core.model.poll import Cadence
from notifier.core.model.problems import FailureKind
from notifier.core.polling.buckets import DAY_SECONDS, WINDOW_SECONDS

PAUSE_SECONDS: Final[Mapping[FailureKind, float]] = {
    FailureKind.UNAUTHORIZED: 300.0,
    FailureKind.CREDITS_DEPLETED: 300.0,
    FailureKind.USAGE_CAPPED: 900.0,
}
"""Failures of the account: asking again soon cannot help, so keep trying at long intervals."""

MIN_WAIT_SECONDS: Final = 1.0
LONGEST_GROWTH_SECONDS: Final = 60.0
MAX_DOUBLINGS: Final = 6
"""The wait grows with each refusal of a call in a row: 1, 2, 4 … 60 s, whatever X's headers say. Resets are
in whole seconds, clocks differ, and not every limit has a header."""

BLIND_WAIT_SECONDS: Final = 60.0
"""The wait after a rate limit without a stated end."""

LONGEST_WAIT_SECONDS: Final = DAY_SECONDS
"""No window of X's is longer, and no ``Retry-After`` is honoured for longer."""


@dataclass(frozen=True, slots=True)
class Response:
    """What to do. Times are epoch seconds.

    Attributes:
        ask_again_at: When the same question is due again.
        pause_until: Until when the call is not made; None if other questions may be asked.
    """

    ask_again_at: float
    pause_until: float | None = None


def respond(failure: Failure, *, now: float, cadence: Cadence, refusals: int = 1) -> Response:
    """Return how to respond to a failure.

    Args:
        failure: The failure. If X says when to come back, it is asked no sooner.
        now: Epoch seconds.
        cadence: The usual polling intervals.
        refusals: How many failures of this call came in a row, this one included.
    """
    asked_for = min(failure.retry_at if failure.retry_at is not None else now, now + LONGEST_WAIT_SECONDS)
    grown = now + _grown(refusals)
    if failure.kind is FailureKind.HELD_BACK:
        until = asked_for if failure.retry_at is not None else now + BLIND_WAIT_SECONDS
        return Response(min(max(until, now), now + WINDOW_SECONDS))
    if failure.kind is FailureKind.REFUSED:
        return Response(max(now + cadence.scheduled, asked_for))
    if failure.kind is FailureKind.UNAVAILABLE:
        again_at = max(now + cadence.near, asked_for)
        return Response(again_at, max(again_at, grown) if asked_for > now else None)
    if failure.kind is FailureKind.RATE_LIMITED and failure.retry_at is None:
        asked_for = now + BLIND_WAIT_SECONDS
    until = max(asked_for, grown, now + PAUSE_SECONDS.get(failure.kind, 0.0))
    return Response(until, until)


def _grown(refusals: int) -> float:
    """Return the wait in seconds after this many refusals in a row."""
    doublings = min(max(refusals - 1, 0), MAX_DOUBLINGS)
    return min(math.ldexp(MIN_WAIT_SECONDS, doublings), LONGEST_GROWTH_SECONDS)
