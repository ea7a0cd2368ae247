"""What X does where nobody outside can be sure, or where it did one thing once and another later."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Ending(StrEnum):
    """How a Space is answered once it is over."""

    STATE = "state"
    GONE = "gone"


class Buckets(StrEnum):
    """Whether each path has a window of requests of its own, or all paths share one."""

    SEPARATE = "separate"
    SHARED = "shared"


class Behaviour(BaseModel):
    """The ``x`` block of a scenario.

    Attributes:
        ended: ``gone`` answers a Space as not found from the moment the timeline sets it to ``ended``.
        canceled: The same for ``canceled``.
        buckets: How requests are counted for the windows.
        creators_per_second: How many requests by creator are answered in one real second; 0 is any number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ended: Ending = Ending.STATE
    canceled: Ending = Ending.STATE
    buckets: Buckets = Buckets.SEPARATE
    creators_per_second: Annotated[int, Field(ge=0)] = 1

    def hides(self, state: str) -> bool:
        """Tell whether a Space in ``state`` is answered as not found."""
        endings = {"ended": self.ended, "canceled": self.canceled}
        return endings.get(state) is Ending.GONE
