"""Records of deliveries without a request, and the memory of their Space."""

from __future__ import annotations

import pytest

from notifier.core.delivery.delivery import DeliveryStatus, Trigger
from notifier.core.delivery.kinds.kind import FORGET, MAX_MEMORY_BYTES, Hold, Skip
from notifier.core.events.event import EventType
from notifier.core.model.ids import EndpointId, EventId
from notifier.store import Claim, Settlement
from workers.records import SHORTEST_HOLD_SECONDS, discarded, held, remembering


def claim(event_type: EventType = EventType.TITLE_CHANGED, *, space_id: str = "A") -> Claim:
    body = f'{{"type":"{event_type}","data":{{}}}}'.encode()
    return Claim(EventId("evt_1"), EndpointId("ep_1"), 5, 2, 1, Trigger.MANUAL, body, 0.0, space_id)


def settled(event_type: EventType, status: DeliveryStatus, *, space_id: str = "A") -> Settlement:
    return discarded(claim(event_type, space_id=space_id), Skip("because"), now=1.0)._replace(status=status)


def test_a_skipped_delivery_ends_with_its_reason_and_counts_no_attempt() -> None:
    skipped = discarded(claim(), Skip("because"), now=7.0)
    assert (skipped.status, skipped.attempts_made, skipped.succeeded) == (DeliveryStatus.DISCARDED, 2, None)
    assert (skipped.attempt.outcome, skipped.attempt.reason, skipped.attempt.started_at) == (
        "discarded",
        "because",
        7.0,
    )


@pytest.mark.parametrize(("until", "delay"), [(67.0, 60.0), (7.0, SHORTEST_HOLD_SECONDS), (1.0, 1.0)])
def test_a_held_delivery_is_due_at_its_time_and_never_at_once(until: float, delay: float) -> None:
    waiting = held(claim(), Hold(until, "later"), now=7.0)
    assert (waiting.status, waiting.delay, waiting.attempts_made) == (DeliveryStatus.PENDING, delay, 2)
    assert waiting.succeeded is None


def test_a_repeatedly_held_delivery_leaves_one_record() -> None:
    first, second = (held(claim(), Hold(60.0, "later"), now=now) for now in (1.0, 2.0))
    assert first.attempt.id == second.attempt.id


@pytest.mark.parametrize("memory", [None, FORGET, "{}", "x" * MAX_MEMORY_BYTES])
def test_a_memory_is_stored_with_its_outcome(memory: str | None) -> None:
    outcome = settled(EventType.STARTED, DeliveryStatus.DELIVERED)
    assert remembering(outcome, memory).memory == memory


def test_a_memory_that_is_too_long_leaves_the_previous_one() -> None:
    outcome = settled(EventType.STARTED, DeliveryStatus.DELIVERED)
    assert remembering(outcome, "x" * (MAX_MEMORY_BYTES + 1)).memory is None


@pytest.mark.parametrize("memory", [None, "{}"])
@pytest.mark.parametrize("status", [each for each in DeliveryStatus if each is not DeliveryStatus.PENDING])
def test_the_memory_is_deleted_once_the_erasure_is_delivered_or_given_up(
    status: DeliveryStatus, memory: str | None
) -> None:
    assert remembering(settled(EventType.REDACTED, status), memory).memory == FORGET


def test_the_memory_is_kept_while_the_erasure_is_retried() -> None:
    trying = settled(EventType.REDACTED, DeliveryStatus.PENDING)
    assert remembering(trying, None).memory is None
    assert remembering(trying, "{}").memory == "{}"


def test_an_event_about_no_space_leaves_no_memory() -> None:
    outcome = settled(EventType.WEBHOOK_TEST, DeliveryStatus.DELIVERED, space_id="")
    assert remembering(outcome, "{}").memory is None
