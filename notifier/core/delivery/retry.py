"""When a failed delivery is tried again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from notifier.errors import ConfigError

MAX_JITTER: Final = 0.2
"""The share of the delay that jitter may add; it never takes any away, so a schedule is a promise."""

UNCOUNTED_DELAY_SECONDS: Final = 30.0
"""The pause after an attempt that failed through our own fault: the schedule belongs to the receiver."""


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The delays in seconds: ``delays[i]`` follows the failure of attempt ``i + 1``.

    Raises:
        ConfigError: A delay is negative or not finite.
    """

    delays: tuple[float, ...]

    def __post_init__(self) -> None:
        for delay in self.delays:
            if not (math.isfinite(delay) and delay >= 0):
                raise ConfigError(f"a retry schedule holds seconds of 0 or more, not {delay}")


DEFAULT_SCHEDULE: Final = RetrySchedule((5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))
"""Ten attempts over about 75.6 hours."""


def next_attempt_at(
    schedule: RetrySchedule,
    *,
    attempts_made: int,
    now: float,
    jitter: float,
    retry_after: float | None = None,
    counted: bool = True,
) -> float | None:
    """Return when the next attempt is due, after one that failed.

    Args:
        schedule: Of the endpoint.
        attempts_made: How many attempts counted so far, this one among them if it did.
        now: Unix seconds.
        jitter: 0 to 1, from a random source; spreads what failed together by up to 20 % of the delay.
        retry_after: Seconds that the receiver asked for: the wait is never shorter.
        counted: False after an attempt that failed through our own fault.

    Returns:
        Unix seconds, or None when the schedule is exhausted.
    """
    if not counted:
        delay = UNCOUNTED_DELAY_SECONDS
    elif attempts_made > len(schedule.delays):
        return None
    else:
        delay = schedule.delays[max(attempts_made - 1, 0)]
    return now + max(delay, retry_after or 0.0) * (1 + MAX_JITTER * jitter)
