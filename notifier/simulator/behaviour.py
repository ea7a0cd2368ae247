"""Behaviour of X that is not documented, or that has changed over time."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from notifier.simulator.times import Shift

LISTED_STATES: Final = ("live", "scheduled")
OVER_STATES: Final = ("ended", "canceled", "cancelled")


class Ending(StrEnum):
    """How X answers for a Space that is over."""

    STATE = "state"
    GONE = "gone"


class Listing(StrEnum):
    """Whether lists show Spaces in an undocumented state."""

    UNLISTED = "unlisted"
    LISTED = "listed"


class Buckets(StrEnum):
    """Whether each path has its own window of requests, or all paths share one."""

    SEPARATE = "separate"
    SHARED = "shared"


class Behaviour(BaseModel):
    """The ``x`` block of a scenario.

    Attributes:
        ended: ``gone`` answers a Space as not found from the moment the timeline sets it to ``ended``.
        canceled: The same for ``canceled``.
        other_states: Whether lists show a Space in a state other than X's documented four.
        buckets: How requests are counted for the windows.
        creators_per_second: How many requests by creator are answered in one real second; 0 means no limit.
        clock: By how many real seconds X's own clock, used for ``Date`` and resets, is ahead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ended: Ending = Ending.STATE
    canceled: Ending = Ending.STATE
    other_states: Listing = Listing.UNLISTED
    buckets: Buckets = Buckets.SEPARATE
    creators_per_second: Annotated[int, Field(ge=0)] = 1
    clock: Shift = 0.0

    def hides(self, state: str) -> bool:
        """Return whether a Space in ``state`` is answered as not found."""
        endings = {"ended": self.ended, "canceled": self.canceled}
        return endings.get(state) is Ending.GONE

    def lists(self, state: str) -> bool:
        """Return whether a Space in ``state`` is included in lists."""
        word = state.casefold()
        is_other = word not in (*LISTED_STATES, *OVER_STATES)
        return word in LISTED_STATES or (is_other and self.other_states is Listing.LISTED)
