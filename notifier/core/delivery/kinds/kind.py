"""What a kind is: how a delivery becomes a request, and what the answer to it means.

A kind is a record of values and pure functions. Everything else, the queue, its leases and rates, the guarded
client, retries, records and health, is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from notifier.core.delivery.endpoint import DEFAULT_EVENT_TYPES, DEFAULT_MAX_CONCURRENCY, Endpoint, KindName
from notifier.core.delivery.kinds.target import Target
from notifier.core.delivery.outcome import Answer, Outcome
from notifier.core.delivery.request import DeliveryRequest
from notifier.core.delivery.retry import RetrySchedule
from notifier.core.delivery.signing import SigningKey

MAX_MEMORY_BYTES: Final = 8192

FORGET: Final = ""
"""The memory of a kind with nothing left to remember."""

TargetT = TypeVar("TargetT", bound=Target | None)


class Sending(NamedTuple, Generic[TargetT]):
    """One delivery whose attempt is about to be made.

    Attributes:
        message_id: The event's id, the same on every attempt; that of a challenge for a challenge.
        body: The full payload, as it is logged.
        endpoint: To which it goes.
        keys: Every live signing key of the endpoint, the newest first; none where its kind has a target.
        target: Where the endpoint leads, with its secrets in the clear; None for a webhook.
        source: Where users reach this installation.
        now: Epoch seconds.
        memory: What the kind remembers of this Space at this endpoint; empty for nothing.
        newest: The last event of this Space that waits behind this one for this endpoint; empty for none.
    """

    message_id: str
    body: bytes
    endpoint: Endpoint
    keys: Sequence[SigningKey]
    target: TargetT
    source: str
    now: float
    memory: str = ""
    newest: str = ""


class Skip(NamedTuple):
    """Nothing is sent, now or later: the delivery ends as discarded. ``memory`` is as in ``Reading``."""

    reason: str
    memory: str | None = None


class Hold(NamedTuple):
    """Nothing is sent before a moment, in epoch seconds: the delivery stays pending, nothing is counted."""

    until: float
    reason: str


Rendered: TypeAlias = DeliveryRequest | Skip | Hold


class Reading(NamedTuple):
    """What an answer means, and what the kind remembers of the Space from now on.

    ``memory`` is text of up to 8 KiB, as a rule JSON; None leaves it as it was, ``FORGET`` erases it. It is
    kept in the same step as the outcome, and only for an event that is about one Space. ``target`` is where
    the endpoint leads from now on, if the service says that it has moved.
    """

    outcome: Outcome
    memory: str | None = None
    target: Target | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[TargetT]):
    """A kind of endpoint.

    Attributes:
        name: As it stands in ``kind``.
        target: The model of what is given as ``target``. None for the webhook, which alone has a URL, signing
            secrets, headers, a payload form and a format. An endpoint with a target gets the events of each
            Space in their order, and its kind has a memory.
        render: Returns the request of one attempt, or the reason why there is none.
        read: Reads the answer to it; the number is the moment in epoch seconds.
        challenge: Makes the request by which a receiver is verified; None where it cannot be.
        event_types: What an endpoint subscribes to unless it says otherwise.
        max_concurrency: How many of its attempts are in flight at once unless it says otherwise.
        rate_limit_per_second: How many begin in a second unless it says otherwise; None for no limit.
        retry_schedule: When a failed delivery is tried again; None for the operator's own setting.
    """

    name: KindName
    target: type[TargetT] | None
    render: Callable[[Sending[TargetT]], Rendered]
    read: Callable[[Sending[TargetT], Answer, float], Reading]
    challenge: Callable[[Sending[TargetT]], DeliveryRequest] | None = None
    event_types: tuple[str, ...] = DEFAULT_EVENT_TYPES
    max_concurrency: int = DEFAULT_MAX_CONCURRENCY
    rate_limit_per_second: float | None = None
    retry_schedule: RetrySchedule | None = None

    @property
    def defaults(self) -> dict[str, Any]:
        """What an endpoint has unless it says otherwise, as arguments of ``Endpoint``."""
        return {
            "event_types": self.event_types,
            "max_concurrency": self.max_concurrency,
            "rate_limit_per_second": self.rate_limit_per_second,
        }


def is_memorable(memory: str) -> bool:
    """Return whether a memory can be kept: it has up to 8 KiB and is text."""
    try:
        return len(memory.encode()) <= MAX_MEMORY_BYTES
    except UnicodeEncodeError:
        return False
