from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.outcome import Answer, ErrorClass, Outcome, OutcomeKind, classify
from notifier.core.delivery.retry import RetrySchedule
from notifier.core.delivery.settling import LONGEST_PAUSE_SECONDS, SLOW_DOWN_SECONDS, Verdict, judge

SCHEDULE = RetrySchedule((5.0, 300.0))


def verdict(status: int | None, *, before: int = 0, base: int = 0, retry_after: str | None = None) -> Verdict:
    error = None if status is not None else ErrorClass.RESOLVER
    outcome = classify(Answer(status, error, retry_after, 1.0), now=0.0)
    return judge(outcome, attempts_before=before, base=base, schedule=SCHEDULE, jitter=0.0)


def test_a_2xx_is_delivered_and_counts_as_a_success() -> None:
    assert verdict(204) == Verdict(DeliveryStatus.DELIVERED, 0.0, 1, 0.0, succeeded=True)


@pytest.mark.parametrize(("before", "delay"), [(0, 5.0), (1, 300.0)])
def test_a_failure_is_retried_on_the_schedule(before: int, delay: float) -> None:
    assert verdict(500, before=before) == Verdict(
        DeliveryStatus.PENDING, delay, before + 1, 0.0, succeeded=False
    )


def test_a_used_up_schedule_exhausts_a_delivery() -> None:
    assert verdict(500, before=2).status is DeliveryStatus.EXHAUSTED


def test_a_redelivery_has_a_full_schedule() -> None:
    again = verdict(500, before=3, base=3)
    assert (again.status, again.delay, again.attempts_made) == (DeliveryStatus.PENDING, 5.0, 4)


def test_410_disables_and_leaves_the_delivery_due() -> None:
    gone = verdict(410)
    assert (gone.status, gone.delay, gone.disables) == (DeliveryStatus.PENDING, 0.0, True)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_overloaded_receiver_gets_a_pause(status: int) -> None:
    assert verdict(status).resume_after == SLOW_DOWN_SECONDS


def test_retry_after_is_a_floor_for_its_delivery_and_a_bounded_pause_for_the_others() -> None:
    asked = verdict(502, retry_after="3600")
    assert (asked.delay, asked.resume_after) == (3600.0, LONGEST_PAUSE_SECONDS)
    assert verdict(504, retry_after="20").resume_after == 20.0
    assert verdict(500, retry_after="3600").resume_after == 0.0


@pytest.mark.parametrize(("status", "retry_after"), [(429, None), (429, "0"), (429, "7"), (503, "7")])
def test_a_request_for_a_slower_pace_is_no_failure_and_delays_the_whole_endpoint(
    status: int, retry_after: str | None
) -> None:
    paced = verdict(status, retry_after=retry_after)
    assert (paced.status, paced.succeeded, paced.paced) == (DeliveryStatus.PENDING, None, True)
    assert (paced.delay, paced.resume_after) == (0.0, float(retry_after or 0))


def test_a_requested_pause_is_kept_for_up_to_a_day() -> None:
    assert verdict(429, retry_after="200000").resume_after == 86_400.0


def test_a_bare_503_and_other_failures_ask_for_no_slower_pace() -> None:
    assert not any(
        verdict(status, retry_after=after).paced for status, after in [(503, None), (502, "7"), (500, "7")]
    )


@pytest.mark.parametrize("made_before", [0, 1, 2])
def test_repeated_requests_for_a_slower_pace_use_one_step_of_the_schedule(made_before: int) -> None:
    made, base = made_before, 0
    for _ in range(40):
        paced = verdict(429, before=made, base=base)
        assert paced.status is DeliveryStatus.PENDING
        made, base = paced.attempts_made, paced.base
    assert made == made_before + 40
    assert made - base == max(made_before, 1)


def test_a_failure_after_requests_for_a_slower_pace_continues_the_schedule() -> None:
    paced = verdict(429, before=1, base=0)
    assert verdict(500, before=paced.attempts_made, base=paced.base).delay == 300.0


def test_our_own_fault_uses_no_attempt_and_does_not_count_for_the_receiver() -> None:
    ours = verdict(None, before=2)
    assert (ours.status, ours.attempts_made, ours.succeeded) == (DeliveryStatus.PENDING, 2, None)


def judged(outcome: Outcome, *, before: int = 0) -> Verdict:
    return judge(outcome, attempts_before=before, base=0, schedule=SCHEDULE, jitter=0.0)


def outcome(kind: OutcomeKind, *, goes_on: bool = False, ends: bool = False) -> Outcome:
    return Outcome(kind, False, None, True, "", goes_on=goes_on, ends=ends)


@pytest.mark.parametrize(
    ("kind", "succeeded"),
    [(OutcomeKind.DELIVERED, True), (OutcomeKind.RETRY, None), (OutcomeKind.GONE, None)],
)
def test_a_continued_delivery_is_due_at_once_and_no_failure(
    kind: OutcomeKind, succeeded: bool | None
) -> None:
    step = outcome(kind, goes_on=True)
    assert judged(step) == Verdict(DeliveryStatus.PENDING, 0.0, 1, 0.0, succeeded)


def test_an_endlessly_continued_delivery_ends() -> None:
    step = outcome(OutcomeKind.DELIVERED, goes_on=True)
    assert judged(step, before=1).status is DeliveryStatus.PENDING
    assert judged(step, before=2).status is DeliveryStatus.EXHAUSTED


def test_a_delivery_that_cannot_succeed_is_discarded_and_no_failure() -> None:
    ending = outcome(OutcomeKind.REFUSED, ends=True)
    assert judged(ending) == Verdict(DeliveryStatus.DISCARDED, 0.0, 1, 0.0, succeeded=None)


def test_a_success_may_request_a_pause() -> None:
    delivered = replace(outcome(OutcomeKind.DELIVERED), retry_after_seconds=3.0)
    assert judged(delivered) == Verdict(DeliveryStatus.DELIVERED, 0.0, 1, 3.0, succeeded=True)
