"""Converting times by X's clock to ours.

X states the end of a window in epoch seconds by its own clock, and the ``Date`` of the same answer says what
that clock showed. If the two clocks differ by minutes, a wait that ignores it ends minutes early, with
refusals, or minutes late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SLACK_SECONDS: Final = 60.0
"""How much further away than its length the end of a window may seem to be."""

COARSENESS_SECONDS: Final = 2.0
"""How old a ``Date`` may be when it is sent: it is in whole seconds, and servers cache it for a second."""


@dataclass(frozen=True, slots=True)
class XClock:
    """The seconds by which X's clock is ahead of ours, according to X's answers."""

    ahead: float = 0.0

    def corrected_by(self, date: float | None, *, began_at: float, answered_at: float) -> XClock:
        """Return the clock after an answer with a ``Date``; times are epoch seconds.

        The answer was stamped at some moment between the question and its arrival. The present offset stays
        as long as it is possible, so that a slow answer moves no window; otherwise the slowest clock that
        fits is assumed, because a wait should be too long rather than too short.
        """
        if date is None:
            return self
        slowest, fastest = date - answered_at, date + COARSENESS_SECONDS - began_at
        return self if slowest <= self.ahead <= fastest else XClock(slowest)

    def ours(self, moment: float, *, now: float, length: float) -> float:
        """Return the end of a window of this length by our clock, in epoch seconds.

        If the ``Date`` makes no sense with it, X's moment is used unchanged.
        """
        translated = moment - self.ahead
        makes_sense = abs(translated - now) <= length + SLACK_SECONDS
        return translated if makes_sense else moment

    def theirs(self, now: float) -> float:
        """Return what X's clock shows when ours shows ``now``."""
        return now + self.ahead
