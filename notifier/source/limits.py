"""X's rate windows as the headers of an answer describe them: one of 15 minutes, two of 24 hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from notifier.core.model.x_clock import XClock
from notifier.core.polling.buckets import DAY_SECONDS, WINDOW_SECONDS

LENGTHS: Final[Mapping[str, float]] = {
    "x-rate-limit": WINDOW_SECONDS,
    "x-app-limit-24hour": DAY_SECONDS,
    "x-user-limit-24hour": DAY_SECONDS,
}
"""The prefix of each window's headers, and how many seconds it lasts."""

NUMBER_DIGITS: Final = len("1626249612000")


@dataclass(frozen=True, slots=True)
class Window:
    """One window.

    Attributes:
        limit: Its requests; 0 if X does not say.
        remaining: How many of them are left.
        reset: The epoch second of its end by X's clock.
        length: How many seconds it lasts.
    """

    limit: int
    remaining: int
    reset: float
    length: float

    def ends_at(self, clock: XClock, *, now: float) -> float:
        """Return the epoch second of its end by our clock, neither past nor further away than it lasts."""
        ends_at = clock.ours(self.reset, now=now, length=self.length)
        return min(max(ends_at, now), now + self.length)


def read_windows(headers: Mapping[str, str]) -> tuple[Window, ...]:
    """Return every window that an answer describes; one with missing or invalid headers is left out."""
    windows = []
    for name, length in LENGTHS.items():
        remaining = _number(headers.get(f"{name}-remaining"))
        reset = _number(headers.get(f"{name}-reset"))
        if remaining is not None and reset is not None:
            limit = _number(headers.get(f"{name}-limit")) or 0
            windows.append(Window(limit, remaining, float(reset), length))
    return tuple(windows)


def used_up_until(windows: Iterable[Window], clock: XClock, *, now: float) -> float | None:
    """Return the latest end of the used-up windows, in epoch seconds by our clock; None without one."""
    return max((each.ends_at(clock, now=now) for each in windows if each.remaining == 0), default=None)


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS else None
