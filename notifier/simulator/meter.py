"""What the answers would cost at X: pay per use, each resource once per UTC day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from notifier.simulator.asked import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

SPACE_READ_MILLS: Final = 5
USER_READ_MILLS: Final = 10
"""X's prices, in thousandths of a US dollar."""

_DAY_SECONDS: Final = 86_400


@dataclass(slots=True)
class Reads:
    """How many Spaces and people were read."""

    spaces: int = 0
    users: int = 0

    def as_json(self) -> dict[str, float]:
        """Return the counts and their price."""
        mills = self.spaces * SPACE_READ_MILLS + self.users * USER_READ_MILLS
        return {"space_reads": self.spaces, "user_reads": self.users, "usd": mills / 1000}


class CostMeter:
    """Counts what X would bill since the start of the stand-in."""

    def __init__(self) -> None:
        self._billed = Reads()
        self._all_reads = Reads()
        self._day = 0
        self._spaces: set[str] = set()
        self._users: set[str] = set()

    def note(self, call: Call, body: Mapping[str, object], now: float) -> None:
        """Count the resources of one answer at ``now`` (Unix seconds).

        X bills the Spaces in ``data`` and the people in ``includes`` or, for a user lookup, in ``data``. An
        error costs nothing.
        """
        self._begin_day(int(now // _DAY_SECONDS))
        included = body.get("includes")
        spaces, users = (
            _ids(body.get("data")),
            _ids(included.get("users") if isinstance(included, dict) else ()),
        )
        if call is Call.USERS:
            spaces, users = set(), spaces
        self._all_reads.spaces += len(spaces)
        self._all_reads.users += len(users)
        self._billed.spaces += len(spaces - self._spaces)
        self._billed.users += len(users - self._users)
        self._spaces |= spaces
        self._users |= users

    def as_json(self) -> dict[str, object]:
        """Return the bill, and what it would be if every read counted."""
        return {**self._billed.as_json(), "every_read": self._all_reads.as_json()}

    def _begin_day(self, day: int) -> None:
        if day != self._day:
            self._day = day
            self._spaces.clear()
            self._users.clear()


def _ids(resources: object) -> set[str]:
    """Return the ids of one resource or of a list of them."""
    listed = resources if isinstance(resources, list) else [resources]
    return {str(each["id"]) for each in listed if isinstance(each, dict)}
