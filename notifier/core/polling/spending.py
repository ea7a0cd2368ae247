"""What X costs: what an answer bills, where the day will end, and what is asked less for it.

X bills each Space and each user once in a UTC day. So the first poll after midnight pays for everything that
is followed, and what comes after is only what is new: a day is not the morning times eight.

As the money of a day runs out, what can wait goes first. Discovery is slowed so that the forecast meets the
budget, and stopped at nine tenths; Spaces that are planned for later are no longer paid for at nineteen
twentieths, live ones and those about to start when all is spent. What was paid for once today is free and is
polled all the same. What a question may cost is weighed before it is asked
(:mod:`notifier.core.polling.worst_case`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from notifier.core.model.observation import Call, Observation
from notifier.core.model.poll import Urgency

SPACE_READ_USD: Final = 0.005
USER_READ_USD: Final = 0.010

HOUR_SECONDS: Final = 3600
DAY_SECONDS: Final = 86_400
HOURS: Final = 24

DISCOVERY_SHARE: Final = 0.9
"""The share of the budget up to which discovery goes on."""

READ_SHARE: Final[Mapping[Urgency, float]] = {Urgency.PATIENT: 0.95, Urgency.URGENT: 1.0}
"""The share of the budget up to which Spaces that are not paid for today are looked up."""

MOST_STRETCH: Final = 10.0

NOTHING: Final = (0.0,) * HOURS


class ThriftLevel(StrEnum):
    """What is asked less, or not at all, for the sake of the budget; each includes those before it."""

    NONE = "none"
    DISCOVERY_SLOWED = "discovery_slowed"
    DISCOVERY_STOPPED = "discovery_stopped"
    SCHEDULED_STOPPED = "scheduled_stopped"
    EVERYTHING_STOPPED = "everything_stopped"


@dataclass(frozen=True, slots=True)
class Bill:
    """What one answer has cost: the resources that were not paid for before on that UTC day."""

    space_reads: int
    user_reads: int

    @property
    def usd(self) -> float:
        """The same in US dollars."""
        return price(self.space_reads, self.user_reads)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a UTC day has cost so far.

    Attributes:
        space_reads: Spaces billed today.
        user_reads: Users billed today.
        hourly: US dollars in each of today's 24 hours.
        yesterday: The same of the day before; all zero where nothing is known of it.
        held: US dollars that are held for questions whose answers are still to come.
    """

    space_reads: int = 0
    user_reads: int = 0
    hourly: Sequence[float] = NOTHING
    yesterday: Sequence[float] = NOTHING
    held: float = 0.0

    @property
    def spent(self) -> float:
        """US dollars."""
        return price(self.space_reads, self.user_reads)


def price(space_reads: int, user_reads: int) -> float:
    """Return the US dollars that X asks for so many reads, exact to the thousandth, which is all there is."""
    return round(space_reads * SPACE_READ_USD + user_reads * USER_READ_USD, 3)


def next_day(now: float) -> float:
    """Return the epoch second at which the next UTC day begins, and everything costs again."""
    return (now // DAY_SECONDS + 1) * DAY_SECONDS


def hour_of(now: float) -> int:
    """Return the hour of the UTC day, 0 to 23."""
    return int(now % DAY_SECONDS // HOUR_SECONDS)


def billable(
    observation: Observation, *, expanded_users_billed: bool
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the Space ids and the user ids that an answer bills.

    Users that were asked for by name always cost. Whether those do that come along with a Space is not
    written down, and a setting.
    """
    users = observation.users if expanded_users_billed or observation.question.call is Call.USERS else ()
    return frozenset(observation.snapshots), frozenset(users)


def forecast(ledger: Ledger, *, now: float) -> float:
    """Return the US dollars that the UTC day will have cost at its end; never less than are spent.

    An hour that is left is taken to cost what it cost yesterday, where yesterday's hours are known: those
    after its first with any cost, which paid for everything at once. Others are taken to cost what today's
    hours have cost since today's first one, which did the same; while that is the present hour, what
    yesterday's known hours cost on average; and where nothing is known, nothing.
    """
    hour, left = hour_of(now), 1 - now % HOUR_SECONDS / HOUR_SECONDS
    known_from = _first(ledger.yesterday) + 1
    pace = _pace(ledger, hour=hour, left=left)

    def expected(at: int) -> float:
        return ledger.yesterday[at] if at >= known_from else pace

    return ledger.spent + expected(hour) * left + sum(map(expected, range(hour + 1, HOURS)))


def _pace(ledger: Ledger, *, hour: int, left: float) -> float:
    """Return the US dollars an hour of today without its first, or else of yesterday without its first."""
    since = _first(ledger.hourly) + 1
    if since <= hour:
        # A second hour that has just begun tells too little to be projected over a day.
        return sum(ledger.hourly[since:]) / max(hour + 1 - left - since, 1.0)
    known = ledger.yesterday[_first(ledger.yesterday) + 1 :]
    return sum(known) / len(known) if known else 0.0


def _first(hourly: Sequence[float]) -> int:
    """Return the first hour with any cost, or the last hour where there is none."""
    return next((hour for hour, usd in enumerate(hourly) if usd > 0), HOURS - 1)


def discovery_stretch(ledger: Ledger, budget: float | None, *, now: float) -> float:
    """Return by what the interval of discovery is multiplied, 1 or more; infinite: none until the next day.

    Args:
        ledger: The day so far.
        budget: US dollars a day; None is without limit.
        now: Epoch seconds.
    """
    if budget is None:
        return 1.0
    if ledger.spent >= budget * DISCOVERY_SHARE:
        return math.inf
    return min(max(forecast(ledger, now=now) / budget, 1.0), MOST_STRETCH)


def may_read(urgency: Urgency, ledger: Ledger, budget: float | None, *, spaces: int = 1) -> bool:
    """Return whether so many Spaces not yet paid for today may be looked up; paid ones always may."""
    if budget is None:
        return True
    return price(ledger.space_reads + spaces, ledger.user_reads) <= budget * READ_SHARE[urgency]


def thrift_level(ledger: Ledger, budget: float | None, *, now: float) -> ThriftLevel:
    """Name what is asked less, or not at all."""
    stretch = discovery_stretch(ledger, budget, now=now)
    if not may_read(Urgency.URGENT, ledger, budget):
        return ThriftLevel.EVERYTHING_STOPPED
    if not may_read(Urgency.PATIENT, ledger, budget):
        return ThriftLevel.SCHEDULED_STOPPED
    if math.isinf(stretch):
        return ThriftLevel.DISCOVERY_STOPPED
    return ThriftLevel.DISCOVERY_SLOWED if stretch > 1 else ThriftLevel.NONE
