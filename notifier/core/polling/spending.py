"""What X costs: what an answer bills, the forecast for the day, and what is polled less to save money.

X bills each Space and each user once in a UTC day. So the first poll after midnight pays for everything that
is followed, and later polls only for what is new: a day does not cost eight times its morning.

As the day's budget runs out, what can wait is dropped first. Discovery is slowed so that the forecast meets
the budget, and stopped at nine tenths of it; Spaces planned for later are no longer paid for at nineteen
twentieths, live ones and those about to start when everything is spent. What was paid for once today is free
and is still polled. The cost of a question is estimated before it is asked
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
"""The share of the budget up to which discovery continues."""

READ_SHARE: Final[Mapping[Urgency, float]] = {Urgency.PATIENT: 0.95, Urgency.URGENT: 1.0}
"""The share of the budget up to which Spaces that are not paid for today are looked up."""

MAX_STRETCH: Final = 10.0

NOTHING: Final = (0.0,) * HOURS


class ThriftLevel(StrEnum):
    """What is polled less, or not at all, to keep the budget; each level includes those before it."""

    NONE = "none"
    DISCOVERY_SLOWED = "discovery_slowed"
    DISCOVERY_STOPPED = "discovery_stopped"
    SCHEDULED_STOPPED = "scheduled_stopped"
    EVERYTHING_STOPPED = "everything_stopped"


@dataclass(frozen=True, slots=True)
class Bill:
    """What one answer has cost: the resources not yet paid for on that UTC day."""

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
        yesterday: The same for the day before; all zero if unknown.
        held: US dollars reserved for questions that are not answered yet.
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
    """Return the price of so many reads in US dollars, exact to the thousandth."""
    return round(space_reads * SPACE_READ_USD + user_reads * USER_READ_USD, 3)


def next_day(now: float) -> float:
    """Return the epoch second at which the next UTC day begins and everything is billed again."""
    return (now // DAY_SECONDS + 1) * DAY_SECONDS


def hour_of(now: float) -> int:
    """Return the hour of the UTC day, 0 to 23."""
    return int(now % DAY_SECONDS // HOUR_SECONDS)


def billable(
    observation: Observation, *, expanded_users_billed: bool
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the Space ids and the user ids that an answer bills.

    Users requested by name are always billed. Whether users that come with a Space are billed is not
    documented, so it is a setting.
    """
    users = observation.users if expanded_users_billed or observation.question.call is Call.USERS else ()
    return frozenset(observation.snapshots), frozenset(users)


def forecast(ledger: Ledger, *, now: float) -> float:
    """Return the US dollars that the UTC day will have cost at its end; never less than is spent.

    A remaining hour is assumed to cost what it cost yesterday, if yesterday's hours are known: those after
    the first hour with any cost, which paid for everything at once. Other hours are assumed to cost what
    today's hours have cost on average after today's first one; if that is the present hour, what yesterday's
    known hours cost on average; and if nothing is known, nothing.
    """
    hour, left = hour_of(now), 1 - now % HOUR_SECONDS / HOUR_SECONDS
    known_from = _first(ledger.yesterday) + 1
    pace = _pace(ledger, hour=hour, left=left)

    def expected(at: int) -> float:
        return ledger.yesterday[at] if at >= known_from else pace

    return ledger.spent + expected(hour) * left + sum(map(expected, range(hour + 1, HOURS)))


def _pace(ledger: Ledger, *, hour: int, left: float) -> float:
    """Return US dollars per hour, of today without its first hour, or else of yesterday without its first."""
    since = _first(ledger.hourly) + 1
    if since <= hour:
        # A second hour that has just begun is too short to project over a day.
        return sum(ledger.hourly[since:]) / max(hour + 1 - left - since, 1.0)
    known = ledger.yesterday[_first(ledger.yesterday) + 1 :]
    return sum(known) / len(known) if known else 0.0


def _first(hourly: Sequence[float]) -> int:
    """Return the first hour with any cost, or the last hour if there is none."""
    return next((hour for hour, usd in enumerate(hourly) if usd > 0), HOURS - 1)


def discovery_stretch(ledger: Ledger, budget: float | None, *, now: float) -> float:
    """Return the factor for the interval of discovery, 1 or more; infinite means none until the next day.

    Args:
        ledger: The day so far.
        budget: US dollars a day; None means no limit.
        now: Epoch seconds.
    """
    if budget is None:
        return 1.0
    if ledger.spent >= budget * DISCOVERY_SHARE:
        return math.inf
    return min(max(forecast(ledger, now=now) / budget, 1.0), MAX_STRETCH)


def may_read(urgency: Urgency, ledger: Ledger, budget: float | None, *, spaces: int = 1) -> bool:
    """Return whether so many Spaces not yet paid for today may be looked up; paid ones always may."""
    if budget is None:
        return True
    return price(ledger.space_reads + spaces, ledger.user_reads) <= budget * READ_SHARE[urgency]


def thrift_level(ledger: Ledger, budget: float | None, *, now: float) -> ThriftLevel:
    """Return the present level of saving."""
    stretch = discovery_stretch(ledger, budget, now=now)
    if not may_read(Urgency.URGENT, ledger, budget):
        return ThriftLevel.EVERYTHING_STOPPED
    if not may_read(Urgency.PATIENT, ledger, budget):
        return ThriftLevel.SCHEDULED_STOPPED
    if math.isinf(stretch):
        return ThriftLevel.DISCOVERY_STOPPED
    return ThriftLevel.DISCOVERY_SLOWED if stretch > 1 else ThriftLevel.NONE
