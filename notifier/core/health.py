"""How X is doing: which calls fail and why, and what subscribers are told of it.

A kind of trouble is told when the first call falls into it and again when the last one is out of it, so that
one call that fails among others that answer neither hides nor flutters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from notifier.core.cadence import Cadence
from notifier.core.events import Event, EventType, plain_event
from notifier.core.instants import rfc3339
from notifier.core.observation import Call, Failure
from notifier.core.problems import FailureKind


class TroubleKind(StrEnum):
    """What is wrong with the source; the names are those of the failed calls."""

    UNAVAILABLE = FailureKind.UNAVAILABLE.value
    RATE_LIMITED = FailureKind.RATE_LIMITED.value
    USAGE_CAPPED = FailureKind.USAGE_CAPPED.value
    CREDITS_DEPLETED = FailureKind.CREDITS_DEPLETED.value
    UNAUTHORIZED = FailureKind.UNAUTHORIZED.value
    REFUSED = FailureKind.REFUSED.value
    MASS_VANISH = "mass_vanish"


TROUBLES: Final[frozenset[str]] = frozenset(TroubleKind) & frozenset(FailureKind)
"""The failures that say something of X; to be held back or too fast is our own affair."""

TOLD_AFTER: Final[Mapping[TroubleKind, int]] = {TroubleKind.UNAVAILABLE: 2, TroubleKind.REFUSED: 2}
"""How many calls must fail on end before it is told; a single 503 is X's everyday. Others: the first one."""

LONGEST_BACKOFF_SECONDS: Final = 60.0
MOST_DOUBLINGS: Final = 16
"""From here on the backoff is at its longest; an outage of days must not double it into infinity."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why one call gives no answers. Times are epoch seconds.

    Attributes:
        until: Nothing is asked by this call before.
        failures: How many times on end.
    """

    kind: TroubleKind
    detail: str
    since: float
    until: float
    failures: int = 1

    @property
    def is_told(self) -> bool:
        """Whether it has gone on for long enough to be told."""
        return self.failures >= TOLD_AFTER.get(self.kind, 1)


@dataclass(frozen=True, slots=True)
class Health:
    """The present trouble by call, and since when so much vanishes that it is not believed (E2)."""

    calls: Mapping[Call, Trouble] = field(default_factory=dict)
    vanish_since: float | None = None

    def troubles(self) -> dict[TroubleKind, Trouble]:
        """Give every kind of trouble that is told, as it began."""
        told: dict[TroubleKind, Trouble] = {}
        for trouble in self.calls.values():
            if trouble.is_told and (trouble.kind not in told or trouble.since < told[trouble.kind].since):
                told[trouble.kind] = trouble
        if self.vanish_since is not None:
            told[TroubleKind.MASS_VANISH] = Trouble(
                TroubleKind.MASS_VANISH,
                "more Spaces are suddenly not found than can have ended",
                self.vanish_since,
                self.vanish_since,
            )
        return told

    @property
    def hides_spaces(self) -> bool:
        """Whether it is not known how the Spaces themselves are doing: nothing is to be said of them."""
        lookup = self.calls.get(Call.LOOKUP)
        return self.vanish_since is not None or (lookup is not None and lookup.is_told)

    def paused_until(self, call: Call) -> float:
        """Give the epoch second before which a call is not made, 0 where it may be."""
        trouble = self.calls.get(call)
        return trouble.until if trouble else 0.0

    def as_json(self) -> dict[str, Any]:
        """Give the record that the store keeps; :func:`read_health` reads it back."""
        return {
            "calls": {
                call: [trouble.kind, trouble.detail, trouble.since, trouble.until, trouble.failures]
                for call, trouble in self.calls.items()
            },
            "vanish_since": self.vanish_since,
        }


def read_health(record: Mapping[str, Any]) -> Health:
    """Read back what :meth:`Health.as_json` wrote."""
    calls = {Call(call): Trouble(TroubleKind(kind), *rest) for call, (kind, *rest) in record["calls"].items()}
    return Health(calls, record["vanish_since"])


def after_failure(
    health: Health, call: Call, failure: Failure, *, until: float | None, now: float, cadence: Cadence
) -> Health:
    """Note that a call failed. What says nothing of X, like a subject that it refuses, changes nothing.

    Before ``until`` asking anything by this call is useless; where that is None, nobody knows, and the call
    is made ever more rarely.
    """
    if failure.kind not in TROUBLES or failure.refused:
        return health
    kind = TroubleKind(failure.kind)
    before = health.calls.get(call)
    goes_on = before is not None and before.kind is kind
    failures = before.failures + 1 if before and goes_on else 1
    if until is None:
        # The first failure may be of that one question; from the second on one look at a time is the probe.
        backoff = 0.0 if failures == 1 else cadence.near * 2 ** min(failures - 2, MOST_DOUBLINGS)
        until = now + min(backoff, LONGEST_BACKOFF_SECONDS)
    trouble = Trouble(kind, failure.detail, before.since if before and goes_on else now, until, failures)
    told = health.troubles().get(kind)
    if told is not None and trouble.is_told:
        # Another call is in it too: a kind of trouble has one beginning, the one that was told.
        trouble = replace(trouble, since=told.since)
    return replace(health, calls={**health.calls, call: trouble})


def after_answer(health: Health, call: Call) -> Health:
    """Note that a call was answered."""
    if call not in health.calls:
        return health
    return replace(health, calls={each: trouble for each, trouble in health.calls.items() if each != call})


def after_cycle(health: Health, *, mass_vanish: bool, now: float) -> Health:
    """Note whether more Spaces have vanished than is believed."""
    if mass_vanish == (health.vanish_since is not None):
        return health
    return replace(health, vanish_since=now if mass_vanish else None)


def news(before: Health, after: Health, *, now: float) -> tuple[Event, ...]:
    """Tell what has begun and what has ended."""
    was, is_now = before.troubles(), after.troubles()
    degraded = [
        _event(EventType.SOURCE_DEGRADED, trouble, {"detail": trouble.detail}, now)
        for kind, trouble in is_now.items()
        if kind not in was
    ]
    recovered = [
        _event(
            EventType.SOURCE_RECOVERED, trouble, {"after_seconds": round(max(now - trouble.since, 0), 3)}, now
        )
        for kind, trouble in was.items()
        if kind not in is_now
    ]
    return (*recovered, *degraded)


def _event(event_type: EventType, trouble: Trouble, more: Mapping[str, Any], now: float) -> Event:
    since = rfc3339(trouble.since)
    return plain_event(
        event_type,
        content=(trouble.kind, since),
        details={"kind": trouble.kind, "since": since, **more},
        observed_at=now,
    )
