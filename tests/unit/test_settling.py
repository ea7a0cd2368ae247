from __future__ import annotations

import pytest

from notifier.core.delivery import DeliveryStatus
from notifier.core.outcome import Answer, ErrorClass, classify
from notifier.core.retry import RetrySchedule
from notifier.core.settling import LONGEST_PAUSE_SECONDS, SLOW_DOWN_SECONDS, Verdict, judge

SCHEDULE = RetrySchedule((5.0, 300.0))


def verdict(status: int | None, *, before: int = 0, base: int = 0, retry_after: str | None = None) -> Verdict:
    error = None if status is not None else ErrorClass.RESOLVER
    outcome = classify(Answer(status, error, retry_after, 1.0), now=0.0)
    return judge(outcome, attempts_before=before, base=base, schedule=SCHEDULE, jitter=0.0)


def test_a_2xx_is_delivered_and_good_for_the_endpoint() -> None:
    assert verdict(204) == Verdict(DeliveryStatus.DELIVERED, 0.0, 1, 0.0, succeeded=True)


@pytest.mark.parametrize(("before", "delay"), [(0, 5.0), (1, 300.0)])
def test_a_failure_is_tried_again_on_the_schedule(before: int, delay: float) -> None:
    assert verdict(500, before=before) == Verdict(
        DeliveryStatus.PENDING, delay, before + 1, 0.0, succeeded=False
    )


def test_the_schedule_used_up_exhausts_the_delivery() -> None:
    assert verdict(500, before=2).status is DeliveryStatus.EXHAUSTED


def test_a_redelivery_has_the_whole_schedule_ahead() -> None:
    again = verdict(500, before=3, base=3)
    assert (again.status, again.delay, again.attempts_made) == (DeliveryStatus.PENDING, 5.0, 4)


def test_410_disables_and_leaves_the_delivery_due() -> None:
    gone = verdict(410)
    assert (gone.status, gone.delay, gone.disables) == (DeliveryStatus.PENDING, 0.0, True)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_overloaded_receiver_gets_a_pause(status: int) -> None:
    assert verdict(status).resume_after == SLOW_DOWN_SECONDS


def test_retry_after_is_a_floor_for_its_delivery_and_a_bounded_pause_for_the_others() -> None:
    asked = verdict(429, retry_after="3600")
    assert (asked.delay, asked.resume_after) == (3600.0, LONGEST_PAUSE_SECONDS)
    assert verdict(429, retry_after="20").resume_after == 20.0
    assert verdict(500, retry_after="3600").resume_after == 0.0


def test_our_own_fault_costs_no_attempt_and_says_nothing_of_the_receiver() -> None:
    ours = verdict(None, before=2)
    assert (ours.status, ours.attempts_made, ours.succeeded) == (DeliveryStatus.PENDING, 2, None)
