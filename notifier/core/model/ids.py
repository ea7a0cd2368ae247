"""Ids: their form and how the derived ones are made.

Random ids end in 16 base62 characters. An event's tail is 22 characters of a digest of its content, and a
delivery's tail is the event's tail followed by the endpoint's, so that a delivery can be found without a
record of its own (see docs/architecture.md, "What a pending delivery costs").
"""

from __future__ import annotations

import hashlib
from typing import Final, NewType

SpaceId = NewType("SpaceId", str)
UserId = NewType("UserId", str)
WatchId = NewType("WatchId", str)
EventId = NewType("EventId", str)
EndpointId = NewType("EndpointId", str)
DeliveryId = NewType("DeliveryId", str)
AttemptId = NewType("AttemptId", str)
RecoveryId = NewType("RecoveryId", str)

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ATTEMPT_PREFIX: Final = "att_"
RANDOM_TAIL: Final = 16
EVENT_TAIL: Final = 22


def tail(raw: bytes, length: int) -> str:
    """Return ``raw`` as ``length`` base62 characters: high digits are dropped, gaps filled with 0."""
    number = int.from_bytes(raw, "big")
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def new_tail(random_bytes: bytes) -> str:
    """Return the tail of an id made from at least 12 random bytes."""
    return tail(random_bytes, RANDOM_TAIL)


def event_id(*content: str) -> EventId:
    """Return an event's id, derived from its content: the same content always has the same id (law 3)."""
    digest = hashlib.sha256("\x1f".join(content).encode("utf-8", "surrogatepass")).digest()
    return EventId("evt_" + tail(digest[:17], EVENT_TAIL))


def delivery_id(event: EventId, endpoint: EndpointId) -> DeliveryId:
    """Return the id of the delivery of ``event`` to ``endpoint``."""
    return DeliveryId("dlv_" + event.removeprefix("evt_") + endpoint.removeprefix("ep_"))


def split_delivery_id(delivery: str) -> tuple[EventId, EndpointId] | None:
    """Return the event and the endpoint that a delivery's id names, or None if it is not a valid id."""
    digits = delivery.removeprefix("dlv_")
    if not delivery.startswith("dlv_") or len(digits) != EVENT_TAIL + RANDOM_TAIL:
        return None
    if not set(digits) <= set(ALPHABET):
        return None
    return EventId("evt_" + digits[:EVENT_TAIL]), EndpointId("ep_" + digits[EVENT_TAIL:])
