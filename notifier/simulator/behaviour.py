"""What X does where nobody outside can be sure, or where it did one thing once and another later."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from notifier.simulator.times import Shift

LISTED_STATES: Final = ("live", "scheduled")
OVER_STATES: Final = ("ended", "canceled", "cancelled")


class Ending(StrEnum):
    """How a Space is answered once it is over."""

    STATE = "state"
    GONE = "gone"


class Listing(StrEnum):
    """Whether lists show the Spaces whose state is a word that X has not documented."""

    UNLISTED = "unlisted"
    LISTED = "listed"


class Buckets(StrEnum):
    """Whether each path has a window of requests of its own, or all paths share one."""

    SEPARATE = "separate"
    SHARED = "shared"


class Behaviour(BaseModel):
    """The ``x`` block of a scenario.

    Attributes:
        ended: ``gone`` answers a Space as not found from the moment the timeline sets it to ``ended``.
        canceled: The same for ``canceled``.
        other_states: Whether lists show a Space whose state is another word than X's four.
        buckets: How requests are counted for the windows.
        creators_per_second: How many requests by creator are answered in one real second; 0 is any number.
        clock: By how many real seconds X's own clock, which its ``Date`` and its resets are on, is ahead.
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
        """Return whether a Space in ``state`` is shown to those who do not ask for it by id."""
        word = state.casefold()
        is_other = word not in (*LISTED_STATES, *OVER_STATES)
        return word in LISTED_STATES or (is_other and self.other_states is Listing.LISTED)
