"""The clock of a scenario: converting seconds of the scenario to real time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from notifier.simulator.times import RelativeTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifier.simulator.times import Moment


@dataclass(frozen=True, slots=True)
class ScenarioTime:
    """A scenario that began at ``started_at`` (Unix seconds) and runs ``speed`` times as fast as real time.

    Attributes:
        ahead: By how many real seconds X's own clock is ahead of the real one.
    """

    started_at: float
    speed: float
    clock: Callable[[], float]
    ahead: float = 0.0

    @property
    def offset(self) -> float:
        """Scenario seconds that have passed; negative before its start."""
        return (self.clock() - self.started_at) * self.speed

    def real_seconds(self, seconds: float) -> float:
        """Return how long ``seconds`` of the scenario last in real time."""
        return seconds / self.speed

    def real_time(self, offset: float) -> float:
        """Return the Unix time at which the scenario reaches ``offset``."""
        return self.started_at + self.real_seconds(offset)

    @property
    def x_now(self) -> float:
        """The present time in Unix seconds by X's own clock."""
        return self.clock() + self.ahead

    def x_time(self, offset: float) -> float:
        """Return the Unix time that X's own clock shows when the scenario reaches ``offset``."""
        return self.real_time(offset) + self.ahead

    def timestamp(self, moment: Moment) -> str:
        """Return a moment as X writes it, ``2021-07-06T18:40:40.000Z``, in real time."""
        unix = self.real_time(moment.seconds) if isinstance(moment, RelativeTime) else moment.timestamp()
        seconds, milliseconds = divmod(round(unix * 1000), 1000)
        # Not strftime, which writes the year 1 with one digit on some systems.
        text = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
        return f"{text}.{milliseconds:03d}Z"
