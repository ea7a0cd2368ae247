"""What becomes of a delivery after an attempt, and of its endpoint."""

from __future__ import annotations

from typing import Final, NamedTuple

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.outcome import Outcome, OutcomeKind
from notifier.core.delivery.retry import RetrySchedule, next_attempt_at

SLOW_DOWN_SECONDS: Final = 5.0
"""The pause that an overloaded receiver gets when it does not say how long it wants."""

LONGEST_PAUSE_SECONDS: Final = 300.0
"""A long Retry-After holds back its own delivery; the endpoint's others wait no longer than this."""


class Verdict(NamedTuple):
    """What follows from an attempt.

    Attributes:
        delay: Seconds until the next attempt, for a pending delivery.
        attempts_made: All that counted so far, this one included if it does.
        resume_after: Seconds for which the endpoint gets nothing, 0 for none.
        succeeded: For the endpoint's health; None where the attempt says nothing of the receiver.
        disables: Whether the endpoint is disabled.
        paced: Whether the receiver asked for a slower pace; ``resume_after`` is then what it named.
        base: The attempts from which the schedule counts, where the receiver asked for a slower pace.
    """

    status: DeliveryStatus
    delay: float
    attempts_made: int
    resume_after: float
    succeeded: bool | None
    disables: bool = False
    paced: bool = False
    base: int = 0


def judge(
    outcome: Outcome, *, attempts_before: int, base: int, schedule: RetrySchedule, jitter: float
) -> Verdict:
    """Judge an attempt.

    Args:
        outcome: Of the attempt.
        attempts_before: Attempts that counted before it.
        base: Those made before the last redelivery, from which the schedule counts.
        schedule: Of the retries.
        jitter: 0 to 1, from a random source.
    """
    made = attempts_before + outcome.counted
    if outcome.goes_on:
        return _stepped(outcome, made=made, base=base, schedule=schedule)
    if outcome.kind is OutcomeKind.DELIVERED:
        pause = outcome.retry_after_seconds or 0.0
        return Verdict(DeliveryStatus.DELIVERED, 0.0, made, pause, succeeded=True)
    if outcome.ends or outcome.kind is OutcomeKind.GONE:
        return _not_again(outcome, made=made)
    if outcome.paced:
        return _paced(outcome, attempts_before=attempts_before, base=base)
    pause = 0.0
    if outcome.slow_down:
        pause = min(outcome.retry_after_seconds or SLOW_DOWN_SECONDS, LONGEST_PAUSE_SECONDS)
    delay = next_attempt_at(
        schedule,
        attempts_made=made - base,
        now=0.0,
        jitter=jitter,
        retry_after=outcome.retry_after_seconds,
        counted=outcome.counted,
    )
    succeeded = False if outcome.counted else None
    if delay is None:
        return Verdict(DeliveryStatus.EXHAUSTED, 0.0, made, pause, succeeded)
    return Verdict(DeliveryStatus.PENDING, delay, made, pause, succeeded)


def _not_again(outcome: Outcome, *, made: int) -> Verdict:
    """Judge an answer by which the same must not be sent again."""
    if outcome.ends:
        return Verdict(DeliveryStatus.DISCARDED, 0.0, made, 0.0, succeeded=None)
    # The delivery stays due: the endpoint's queue stops until it is enabled again.
    return Verdict(DeliveryStatus.PENDING, 0.0, made, 0.0, succeeded=False, disables=True)


def _stepped(outcome: Outcome, *, made: int, base: int, schedule: RetrySchedule) -> Verdict:
    """Judge an attempt that another one follows at once.

    It uses up a step of the schedule, so that a delivery whose every attempt says so comes to an end.
    """
    is_last = made - base > len(schedule.delays)
    status = DeliveryStatus.EXHAUSTED if is_last else DeliveryStatus.PENDING
    succeeded = True if outcome.kind is OutcomeKind.DELIVERED else None
    return Verdict(status, 0.0, made, 0.0, succeeded)


def _paced(outcome: Outcome, *, attempts_before: int, base: int) -> Verdict:
    """Judge an answer that asks for a slower pace: it uses up the first step of the schedule and no other.

    The delivery is due at once. That it waits is the endpoint's pause, which ends early where somebody gives
    the endpoint another URL.
    """
    steps = attempts_before - base
    return Verdict(
        DeliveryStatus.PENDING,
        0.0,
        attempts_before + 1,
        outcome.retry_after_seconds or 0.0,
        succeeded=None,
        paced=True,
        base=base + min(steps, 1),
    )
