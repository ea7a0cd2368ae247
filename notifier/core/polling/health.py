"""How X is doing: which calls fail and why, and what subscribers are told of it.

A kind of outage is announced when it begins for the first call and again when it ends for the last, so that
one call that fails among others that answer neither hides nor flutters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from notifier.core.events.event import Event, EventType, plain_event
from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Call, Failure
from notifier.core.model.poll import Cadence
from notifier.core.model.problems import FailureKind
from notifier.core.model.reasons import OutageKind
from notifier.core.polling.outages import Response

KINDS: Final[Mapping[FailureKind, OutageKind]] = {
    FailureKind.UNAVAILABLE: OutageKind.UNAVAILABLE,
    FailureKind.RATE_LIMITED: OutageKind.RATE_LIMITED,
    FailureKind.TOO_FAST: OutageKind.RATE_LIMITED,
    FailureKind.USAGE_CAPPED: OutageKind.USAGE_CAPPED,
    FailureKind.CREDITS_DEPLETED: OutageKind.CREDITS_DEPLETED,
    FailureKind.UNAUTHORIZED: OutageKind.UNAUTHORIZED,
    FailureKind.REFUSED: OutageKind.REFUSED,
}
"""The failures that say something of X, and of what; to be held back is our own affair."""

TOLD_AFTER: Final[Mapping[FailureKind, int]] = {
    FailureKind.UNAVAILABLE: 2,
    FailureKind.REFUSED: 2,
    FailureKind.UNAUTHORIZED: 2,
    FailureKind.TOO_FAST: 3,
}
"""How many calls must fail on end before it is announced, one unless named: a single 503 is everyday."""

LONGEST_BACKOFF_SECONDS: Final = 60.0
MOST_LABELS: Final = 16
MOST_DOUBLINGS: Final = 16
"""From here on the backoff is at its longest; an outage of days must not double it into infinity."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Why one call gives no answers. Times are epoch seconds.

    Attributes:
        until: Nothing is asked by this call before.
        failures: How many times on end; while it is not announced, fewer than it takes for that.
        is_told: Whether it is sure enough to be announced.
        labels: The questions that have failed, where a subject may be at fault (:mod:`.isolation`).
        origin: Under which credentials; the pause does not hold for others.
    """

    kind: OutageKind
    detail: str
    since: float
    until: float
    failures: int = 1
    is_told: bool = False
    labels: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The present outage of each call, and since when so much vanishes that it is not believed (E2)."""

    calls: Mapping[Call, Outage] = field(default_factory=dict)
    vanish_since: float | None = None

    def outages(self) -> dict[OutageKind, Outage]:
        """Return every kind of outage that was announced, as it began."""
        told: dict[OutageKind, Outage] = {}
        for outage in self.calls.values():
            if outage.is_told and (outage.kind not in told or outage.since < told[outage.kind].since):
                told[outage.kind] = outage
        if self.vanish_since is not None:
            told[OutageKind.MASS_VANISH] = Outage(
                OutageKind.MASS_VANISH,
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

    def paused_until(self, call: Call, *, origin: str | None = None) -> float:
        """Return the epoch second before which a call is not made, 0 where it may be.

        A pause that other credentials have caused does not hold; ``None`` stands for whichever caused it.
        """
        outage = self.calls.get(call)
        holds = outage is not None and origin in (None, outage.origin)
        return outage.until if outage and holds else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the record that the store keeps; :func:`read_health` reads it back."""
        return {
            "calls": {
                call: [getattr(outage, item.name) for item in fields(outage)]
                for call, outage in self.calls.items()
            },
            "vanish_since": self.vanish_since,
        }


def read_health(record: Mapping[str, Any]) -> Health:
    """Read back what :meth:`Health.as_json` wrote."""
    calls = {Call(call): _read_outage(*values) for call, values in record["calls"].items()}
    return Health(calls, record["vanish_since"])


def _read_outage(kind: str, *values: Any) -> Outage:  # noqa: ANN401  as JSON has them
    outage = Outage(OutageKind(kind), *values)
    return replace(outage, labels=tuple(outage.labels))


@dataclass(frozen=True, slots=True)
class Setback:
    """A failed call as far as the call itself is concerned.

    Attributes:
        response: How long to leave X alone.
        label: The question, where one of its subjects may be at fault; else empty.
        is_sure: Whether it is not one of the subjects that is at fault.
        origin: Under which credentials it was made.
    """

    call: Call
    failure: Failure
    response: Response
    label: str = ""
    is_sure: bool = True
    origin: str = ""


def after_failure(health: Health, setback: Setback, *, now: float, cadence: Cadence) -> Health:
    """Note that a call failed; one that our own budget held back changes nothing.

    Until a failure is announced the call is not paused, but for what X asks for: other questions show whether
    it is down. From then on it is made ever more rarely, one question at a time.
    """
    failure = setback.failure
    kind = KINDS.get(failure.kind)
    if kind is None:
        return health
    before = health.calls.get(setback.call)
    if before is not None and before.kind is not kind:
        before = None
    needed = TOLD_AFTER.get(failure.kind, 1)
    failures = before.failures + 1 if before else 1
    is_told = (before is not None and before.is_told) or (setback.is_sure and failures >= needed)
    labels = (*(before.labels if before else ()), setback.label)
    pause = _pause(failure, setback.response, failures if is_told else 0, now, cadence)
    outage = Outage(
        kind,
        failure.detail,
        before.since if before else now,
        max(pause, failure.retry_at or 0.0) if is_told or setback.is_sure else pause,
        failures if is_told else min(failures, max(needed - 1, 1)),
        is_told,
        tuple(dict.fromkeys(label for label in labels if label))[-MOST_LABELS:],
        setback.origin,
    )
    told = health.outages().get(kind)
    if told is not None and is_told:
        # Another call has it too: a kind of outage has one beginning, the one that was announced.
        outage = replace(outage, since=told.since)
    return replace(health, calls={**health.calls, setback.call: outage})


def _pause(failure: Failure, response: Response, failures: int, now: float, cadence: Cadence) -> float:
    """Return the epoch second before which the call is not made; ``failures`` is 0 until it is announced."""
    if failure.kind not in TOLD_AFTER or failure.kind is FailureKind.TOO_FAST:
        return response.pause_until or now
    if not failures:
        return now
    if response.pause_until is not None:
        return response.pause_until
    backoff: float = cadence.near * 2 ** min(max(failures - 2, 0), MOST_DOUBLINGS)
    return now + min(backoff, LONGEST_BACKOFF_SECONDS)


def after_answer(health: Health, call: Call) -> Health:
    """Note that a call was answered."""
    if call not in health.calls:
        return health
    return replace(health, calls={each: outage for each, outage in health.calls.items() if each != call})


def after_cycle(health: Health, *, mass_vanish: bool, now: float) -> Health:
    """Note whether more Spaces have vanished than is believed."""
    if mass_vanish == (health.vanish_since is not None):
        return health
    return replace(health, vanish_since=now if mass_vanish else None)


def news(before: Health, after: Health, *, now: float) -> tuple[Event, ...]:
    """Tell what has begun and what has ended."""
    was, is_now = before.outages(), after.outages()
    degraded = [
        _event(EventType.SOURCE_DEGRADED, outage, {"detail": outage.detail}, now)
        for kind, outage in is_now.items()
        if kind not in was
    ]
    recovered = [
        _event(
            EventType.SOURCE_RECOVERED, outage, {"after_seconds": round(max(now - outage.since, 0), 3)}, now
        )
        for kind, outage in was.items()
        if kind not in is_now
    ]
    return (*recovered, *degraded)


def _event(event_type: EventType, outage: Outage, more: Mapping[str, Any], now: float) -> Event:
    since = rfc3339(outage.since)
    return plain_event(
        event_type,
        content=(outage.kind, since),
        details={"kind": outage.kind, "since": since, **more},
        observed_at=now,
    )
