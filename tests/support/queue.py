"""The delivery queue as tests use it: endpoints, events that are owed to them, claims and their outcomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from notifier.core.delivery.delivery import Attempt, DeliveryStatus, Trigger
from notifier.core.delivery.endpoint import Endpoint
from notifier.core.model.ids import AttemptId, EndpointId, EventId
from notifier.store import Claim, Settlement, Store
from tests.support.owing import make_known, make_owed
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
    """Add an endpoint whose receiver has shown that it takes all that it may get at once."""
    endpoint = Endpoint(
        id=EndpointId("ep_" + name.rjust(16, "0")), url="https://x.example/", created_at=1.0, updated_at=1.0
    )
    endpoint = replace(endpoint, **changes)
    await store.endpoints.create(endpoint)
    await make_known(store, endpoint)
    return endpoint


async def owe(store: Store, endpoints: list[Endpoint], *numbers: int) -> list[EventId]:
    """Make numbered events owed to endpoints; returns their ids."""
    events = [numbered_event(number) for number in numbers]
    for event in events:
        await store.events.commit(event)
    await make_owed(store, [(event.id, endpoints) for event in events])
    return [event.id for event in events]


async def claim(store: Store, limit: int = 100, lease_seconds: float = 30) -> list[Claim]:
    """Claim what is due in the first partition."""
    return list((await store.queue.turn(0, [], limit=limit, lease_seconds=lease_seconds)).claims)


async def settle(store: Store, *settlements: Settlement) -> int:
    """Record outcomes in the first partition; returns how many leases were lost."""
    return (await store.queue.turn(0, settlements, limit=0, lease_seconds=30)).stale


def settled(claim: Claim, status: DeliveryStatus = DeliveryStatus.DELIVERED, **changes: Any) -> Settlement:
    """Return the outcome of a claim: delivered, unless something else is said."""
    return Settlement(claim, status, ATTEMPT, claim.attempts_made + 1, succeeded=True)._replace(**changes)
