"""What the jobs of one worker process share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from notifier.core.delivery.endpoint import Endpoint
from notifier.core.delivery.signing import SigningKey, parse_signing_key
from notifier.core.model.ids import EndpointId
from notifier.delivery.client import DeliveryClient
from notifier.runtime import Runtime
from notifier.source import XClient

WORKER = "worker"
"""Where the worker stands in arq's context."""


class Draining(Protocol):
    """A run over a partition, as far as a wakeup needs to know it."""

    def claim_again(self) -> None:
        """Tell that there may be more to claim."""
        ...


@dataclass(slots=True)
class Worker:
    """One worker process.

    Attributes:
        x: The client for X; None without a bearer token, and then nothing is observed.
        stopping: Set when the process is about to end: what is in flight is finished, nothing new begun.
        dispatching: Whether the outbox is being emptied by this process.
        outbox_changed: Whether something may have come into it since it was last read.
        drains: The partitions that this process drains at present.
        repeats_seen: How many repeated commands there had been when a partition's leases were last compared.
        help_asked_until: When the other workers may be woken again for a partition, by the loop's clock.
        set_off: Begins to drain a partition in the background; by default a wakeup does it.
        background: What goes on beside arq's jobs, to be waited for when the process ends.
        alarms: When partitions have next something to do, by this process's last turn at them.
        unknown_words: X's words for a state that this process has met and does not know.
        signers: Parsed signing keys by endpoint, with the endpoint that they were read from.
    """

    id: str
    runtime: Runtime
    x: XClient | None
    client: DeliveryClient
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    dispatching: bool = False
    outbox_changed: bool = False
    drains: dict[int, Draining] = field(default_factory=dict)
    repeats_seen: dict[int, int] = field(default_factory=dict)
    help_asked_until: dict[int, float] = field(default_factory=dict)
    set_off: Callable[[Worker, int], None] = field(default=lambda _worker, _partition: None)
    background: set[asyncio.Task[None]] = field(default_factory=set)
    alarms: dict[int, asyncio.TimerHandle] = field(default_factory=dict)
    unknown_words: set[str] = field(default_factory=set)
    signers: dict[EndpointId, tuple[Endpoint, tuple[tuple[SigningKey, float | None], ...]]] = field(
        default_factory=dict
    )

    @property
    def origin(self) -> str:
        """Under which credentials X is asked, as a fingerprint; empty without any."""
        return self.x.origin if self.x is not None else ""

    def set_off_in(self, partition: int, seconds: float) -> None:
        """Drain a partition after this time, in the place of an earlier wish of this kind."""
        alarm = self.alarms.pop(partition, None)
        if alarm is not None:
            alarm.cancel()
        self.alarms[partition] = asyncio.get_running_loop().call_later(seconds, self._ring, partition)

    def _ring(self, partition: int) -> None:
        del self.alarms[partition]
        if not self.stopping.is_set():
            self.set_off(self, partition)

    def signing_keys(self, endpoint: Endpoint, *, now: float) -> list[SigningKey]:
        """Return the keys that sign for an endpoint now, the current one first."""
        known = self.signers.get(endpoint.id)
        if known is None or known[0] is not endpoint:
            keys = tuple(
                (parse_signing_key(self.runtime.secrets.open(secret.sealed)), secret.expires_at)
                for secret in endpoint.secrets
            )
            known = self.signers[endpoint.id] = endpoint, keys
        return [key for key, expires_at in known[1] if expires_at is None or expires_at > now]

    def may_have_lost_claims(self, partition: int) -> bool:
        """Return whether a command was repeated since the leases of a partition were last compared."""
        return self.repeats_seen.get(partition, 0) != self.runtime.store.database.repeats

    def forget_signers(self, endpoints: Mapping[EndpointId, Endpoint]) -> None:
        """Let go of the keys of endpoints that are gone."""
        if len(self.signers) <= len(endpoints):
            return
        for endpoint_id in self.signers.keys() - endpoints.keys():
            del self.signers[endpoint_id]


def worker_of(ctx: dict[str, Any]) -> Worker:
    """Take the worker out of arq's context."""
    return cast("Worker", ctx[WORKER])
