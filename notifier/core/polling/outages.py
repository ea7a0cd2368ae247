"""What follows from a failed call to X: how long to leave X alone, and when to ask again."""

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
"""Failures of the account: asking the same way soon cannot help, so keep trying, rarely."""

LEAST_WAIT_SECONDS: Final = 1.0
LONGEST_GROWTH_SECONDS: Final = 60.0
MOST_DOUBLINGS: Final = 6
"""How the wait grows while refusals of a call follow each other: 1, 2, 4 … 60 s, whatever X promises. Its
resets are in whole seconds, clocks differ, and not every limit has a header."""

BLIND_WAIT_SECONDS: Final = 60.0
"""The wait after a rate limit that does not say when it ends."""

LONGEST_WAIT_SECONDS: Final = DAY_SECONDS
"""No window of X's is longer, and no ``Retry-After`` is obeyed for longer."""


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
    """Choose how to respond to a failure.

    Args:
        failure: What came of the question. Where X says when to come back, it is asked no sooner.
        now: Epoch seconds.
        cadence: How often things are asked in good times.
        refusals: How many failures of this call have followed each other, this one included.
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
    """Return the wait in seconds that so many refusals on end ask for by themselves."""
    doublings = min(max(refusals - 1, 0), MOST_DOUBLINGS)
    return min(math.ldexp(LEAST_WAIT_SECONDS, doublings), LONGEST_GROWTH_SECONDS)
