"""Helpers for tests of the delivery queue: endpoints, queued events, claims and outcomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from notifier.core.delivery.delivery import Attempt, DeliveryStatus, Trigger
from notifier.core.delivery.endpoint import Endpoint
from notifier.core.model.ids import AttemptId, EndpointId, EventId
from notifier.store import Claim, Settlement, Store
from tests.support.dispatching import allow_full_concurrency, dispatch_events
from tests.support.pipeline import numbered_event

ATTEMPT: Final = Attempt(
    id=AttemptId("att_1"),
    number=1,
    trigger=Trigger.SCHEDULED,
    started_at=1.0,
    outcome="retry",
    reason="the receiver failed",
)


async def add(store: Store, name: str, **changes: Any) -> Endpoint:
    """Create an endpoint that may use its full concurrency at once."""
    endpoint = Endpoint(
        id=EndpointId("ep_" + name.rjust(16, "0")), url="https://x.example/", created_at=1.0, updated_at=1.0
    )
    endpoint = replace(endpoint, **changes)
    await store.endpoints.create(endpoint)
    await allow_full_concurrency(store, endpoint)
    return endpoint


async def queue_events(store: Store, endpoints: list[Endpoint], *numbers: int) -> list[EventId]:
    """Commit numbered events and dispatch them to the endpoints; return their ids."""
    events = [numbered_event(number) for number in numbers]
    for event in events:
        await store.events.commit(event)
    await dispatch_events(store, [(event.id, endpoints) for event in events])
    return [event.id for event in events]


async def claim(store: Store, limit: int = 100, lease_seconds: float = 30) -> list[Claim]:
    """Claim due deliveries of the first partition."""
    return list((await store.queue.turn(0, [], limit=limit, lease_seconds=lease_seconds)).claims)


async def settle(store: Store, *settlements: Settlement) -> int:
    """Record outcomes in the first partition; return how many leases were lost."""
    return (await store.queue.turn(0, settlements, limit=0, lease_seconds=30)).stale


def settled(claim: Claim, status: DeliveryStatus = DeliveryStatus.DELIVERED, **changes: Any) -> Settlement:
    """Return the outcome of a claim, by default delivered."""
    return Settlement(claim, status, ATTEMPT, claim.attempts_made + 1, succeeded=True)._replace(**changes)
