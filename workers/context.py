"""What the jobs of one worker process share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, cast

import structlog
from pydantic import ValidationError

from notifier.core.delivery.endpoint import Endpoint, KindName
from notifier.core.delivery.kinds.kind import Kind
from notifier.core.delivery.kinds.target import Target, read_target
from notifier.core.delivery.retry import RetrySchedule
from notifier.core.delivery.signing import SigningKey, parse_signing_key
from notifier.core.model.ids import EndpointId
from notifier.delivery.client import DeliveryClient
from notifier.errors import ConfigError, UnavailableError
from notifier.runtime import Runtime
from notifier.source import XClient
from notifier.store import JobName

WORKER = "worker"
"""Where the worker stands in arq's context."""

log = structlog.get_logger(__name__)


class Draining(Protocol):
    """A run over a partition, as far as a wakeup needs to know it."""

    def claim_again(self) -> None:
        """Signal that there may be more to claim."""
        ...


class Opened(NamedTuple):
    """The secrets of an endpoint in the clear, and the record that they were read from.

    ``keys`` has the signing keys, the current one first, each with the second from which it no longer signs.
    """

    endpoint: Endpoint
    keys: tuple[tuple[SigningKey, float | None], ...]
    target: Target | None

    def live_keys(self, now: float) -> list[SigningKey]:
        """Return the keys that sign now."""
        return [key for key, expires_at in self.keys if expires_at is None or expires_at > now]


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
        start: Runs a job in the background; by default it is left to a wakeup.
        background: The jobs and whatever else is running, to be waited for when the process ends.
        alarms: The jobs that this process knows to have something to do later.
        unknown_words: X's words for a state that this process has met and does not know.
        secrets: What was opened of endpoints.
        source: Where users reach this installation.
        retry_schedule: The operator's own; like the source it is wanted by every attempt, and read once.
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
    start: Callable[[Worker, JobName], None] = field(default=lambda _worker, _job: None)
    background: set[asyncio.Task[None]] = field(default_factory=set)
    alarms: dict[JobName, asyncio.TimerHandle] = field(default_factory=dict)
    unknown_words: set[str] = field(default_factory=set)
    secrets: dict[EndpointId, Opened] = field(default_factory=dict)
    source: str = field(init=False)
    retry_schedule: RetrySchedule = field(init=False)

    def __post_init__(self) -> None:
        self.source = self.runtime.settings.base_url
        self.retry_schedule = self.runtime.retry_schedule

    @property
    def origin(self) -> str:
        """Under which credentials X is asked, as a fingerprint; empty without any."""
        return self.x.origin if self.x is not None else ""

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background; the end of the process waits for it."""
        task = asyncio.create_task(work, name=name)
        self.background.add(task)
        task.add_done_callback(self._ended)

    def start_in(self, job: JobName, seconds: float) -> None:
        """Have this worker run a job after a time, unless it is to do so sooner already."""
        self._set_alarm(job, seconds, lambda: self.start(self, job))

    def ring_in(self, job: JobName, seconds: float) -> None:
        """Have any worker run a job after a time, unless it is to be rung for sooner already."""
        self._set_alarm(job, seconds, lambda: self.spawn(job, self.runtime.wakeup.ring(job)))

    def _set_alarm(self, job: JobName, seconds: float, act: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        alarm = self.alarms.get(job)
        if alarm is not None:
            if alarm.when() <= at:
                return
            alarm.cancel()
        self.alarms[job] = loop.call_at(at, self._go_off, job, act)

    def _go_off(self, job: JobName, act: Callable[[], None]) -> None:
        del self.alarms[job]
        if not self.stopping.is_set():
            act()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.background.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, UnavailableError):
            log.warning("worker.job_failed", job=task.get_name(), reason=error.message)
        elif error is not None:
            # Leases run out, and the sweep finds what is due.
            log.error("worker.job_failed", job=task.get_name(), exc_info=error)

    def opened(self, kind: Kind[Any], endpoint: Endpoint) -> Opened:
        """Return the secrets of an endpoint in the clear; they are opened once for each state of it.

        Raises:
            ConfigError: A master key is missing, or the target does not have the form of this version.
        """
        known = self.secrets.get(endpoint.id)
        if known is None or known.endpoint is not endpoint:
            box = self.runtime.secrets
            keys = tuple(
                (parse_signing_key(box.open(secret.sealed)), secret.expires_at) for secret in endpoint.secrets
            )
            target = None
            if kind.target is not None and endpoint.target is not None:
                target = _read(kind.name, kind.target, box.open(endpoint.target.sealed))
            known = self.secrets[endpoint.id] = Opened(endpoint, keys, target)
        return known

    def may_have_lost_claims(self, partition: int) -> bool:
        """Return whether a command was repeated since the leases of a partition were last compared."""
        return self.repeats_seen.get(partition, 0) != self.runtime.store.database.repeats

    def forget_secrets(self, endpoints: Mapping[EndpointId, Endpoint]) -> None:
        """Let go of the secrets of endpoints that are gone."""
        if len(self.secrets) <= len(endpoints):
            return
        for endpoint_id in self.secrets.keys() - endpoints.keys():
            del self.secrets[endpoint_id]


def _read(kind: KindName, model: type[Target], document: str) -> Target:
    try:
        return read_target(model, document)
    except ValidationError:
        raise ConfigError(f"this version cannot read the target of a {kind} endpoint") from None


def worker_of(ctx: dict[str, Any]) -> Worker:
    """Take the worker out of arq's context."""
    return cast("Worker", ctx[WORKER])
