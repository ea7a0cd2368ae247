"""The health of X: which calls fail and why, and what is announced to subscribers.

A kind of outage is announced when it begins for the first call and again when it ends for the last, so that
one failing call among healthy ones is neither hidden nor announced again and again.
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
"""The failures that say something about X; a request that our own budget held back does not."""

ANNOUNCED_AFTER: Final[Mapping[FailureKind, int]] = {
    FailureKind.UNAVAILABLE: 2,
    FailureKind.REFUSED: 2,
    FailureKind.UNAUTHORIZED: 2,
    FailureKind.TOO_FAST: 3,
}
"""How many calls in a row must fail before it is announced; one unless listed. A single 503 is common."""

LONGEST_BACKOFF_SECONDS: Final = 60.0
MAX_LABELS: Final = 16
MAX_DOUBLINGS: Final = 16
"""The backoff is at its longest from here on; an outage of days must not overflow it."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Why one call gets no answers. Times are epoch seconds.

    Attributes:
        until: The call is not made before.
        failures: How many times in a row it failed; until it is announced, fewer than that takes.
        is_announced: Whether it was certain enough to be announced.
        labels: The questions that have failed, if a subject may be at fault (:mod:`.isolation`).
        origin: The credentials that were used; the pause does not apply to others.
    """

    kind: OutageKind
    detail: str
    since: float
    until: float
    failures: int = 1
    is_announced: bool = False
    labels: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The present outage of each call, and since when a mass vanish is in effect (E2)."""

    calls: Mapping[Call, Outage] = field(default_factory=dict)
    vanish_since: float | None = None

    def outages(self) -> dict[OutageKind, Outage]:
        """Return the outages that were announced, by kind: of each kind the one that began first."""
        announced: dict[OutageKind, Outage] = {}
        for outage in self.calls.values():
            if outage.is_announced and (
                outage.kind not in announced or outage.since < announced[outage.kind].since
            ):
                announced[outage.kind] = outage
        if self.vanish_since is not None:
            announced[OutageKind.MASS_VANISH] = Outage(
                OutageKind.MASS_VANISH,
                "more Spaces are suddenly not found than can have ended",
                self.vanish_since,
                self.vanish_since,
            )
        return announced

    @property
    def hides_spaces(self) -> bool:
        """Whether the state of the Spaces is unknown, so that nothing may be concluded about them."""
        lookup = self.calls.get(Call.LOOKUP)
        return self.vanish_since is not None or (lookup is not None and lookup.is_announced)

    def paused_until(self, call: Call, *, origin: str | None = None) -> float:
        """Return the epoch second before which a call is not made, 0 if it may be.

        A pause caused by other credentials does not apply; ``None`` means any credentials.
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
    """Return the health in a record of :meth:`Health.as_json`."""
    calls = {Call(call): _read_outage(*values) for call, values in record["calls"].items()}
    return Health(calls, record["vanish_since"])


def _read_outage(kind: str, *values: Any) -> Outage:  # noqa: ANN401  as JSON has them
    outage = Outage(OutageKind(kind), *values)
    return replace(outage, labels=tuple(outage.labels))


@dataclass(frozen=True, slots=True)
class CallFailure:
    """A failed call, as far as the call itself is concerned.

    Attributes:
        response: How long to stop asking X.
        label: The question, if one of its subjects may be at fault; else empty.
        is_sure: Whether the call itself, and not one of the subjects, is at fault.
        origin: The credentials that were used.
    """

    call: Call
    failure: Failure
    response: Response
    label: str = ""
    is_sure: bool = True
    origin: str = ""


def after_failure(health: Health, call_failure: CallFailure, *, now: float, cadence: Cadence) -> Health:
    """Return the health after a failed call; one that our own budget held back changes nothing.

    Until a failure is announced the call is only paused if X asks for it: other questions show whether it is
    down. From then on it is made less and less often, one question at a time.
    """
    failure = call_failure.failure
    kind = KINDS.get(failure.kind)
    if kind is None:
        return health
    before = health.calls.get(call_failure.call)
    if before is not None and before.kind is not kind:
        before = None
    needed = ANNOUNCED_AFTER.get(failure.kind, 1)
    failures = before.failures + 1 if before else 1
    is_announced = (before is not None and before.is_announced) or (
        call_failure.is_sure and failures >= needed
    )
    labels = (*(before.labels if before else ()), call_failure.label)
    pause = _pause(failure, call_failure.response, failures if is_announced else 0, now, cadence)
    outage = Outage(
        kind,
        failure.detail,
        before.since if before else now,
        max(pause, failure.retry_at or 0.0) if is_announced or call_failure.is_sure else pause,
        failures if is_announced else min(failures, max(needed - 1, 1)),
        is_announced,
        tuple(dict.fromkeys(label for label in labels if label))[-MAX_LABELS:],
        call_failure.origin,
    )
    announced = health.outages().get(kind)
    if announced is not None and is_announced:
        # Another call has the same outage: all calls share the beginning that was announced.
        outage = replace(outage, since=announced.since)
    return replace(health, calls={**health.calls, call_failure.call: outage})


def _pause(failure: Failure, response: Response, failures: int, now: float, cadence: Cadence) -> float:
    """Return the epoch second before which the call is not made; ``failures`` is 0 until it is announced."""
    if failure.kind not in ANNOUNCED_AFTER or failure.kind is FailureKind.TOO_FAST:
        return response.pause_until or now
    if not failures:
        return now
    if response.pause_until is not None:
        return response.pause_until
    backoff: float = cadence.near * 2 ** min(max(failures - 2, 0), MAX_DOUBLINGS)
    return now + min(backoff, LONGEST_BACKOFF_SECONDS)


def after_answer(health: Health, call: Call) -> Health:
    """Return the health after a call was answered."""
    if call not in health.calls:
        return health
    return replace(health, calls={each: outage for each, outage in health.calls.items() if each != call})


def after_cycle(health: Health, *, mass_vanish: bool, now: float) -> Health:
    """Return the health after a cycle with or without a mass vanish."""
    if mass_vanish == (health.vanish_since is not None):
        return health
    return replace(health, vanish_since=now if mass_vanish else None)


def news(before: Health, after: Health, *, now: float) -> tuple[Event, ...]:
    """Return the events for outages that have begun or ended."""
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
