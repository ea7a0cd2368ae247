"""Redis: every key, every script, and one small module per record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from notifier.core.delivery.endpoint import EndpointStatus
from notifier.core.model.observation import Call
from notifier.store import schema
from notifier.store.budget import SharedBudget
from notifier.store.concerns import Concern, Severity, concerns_of
from notifier.store.connection import connect
from notifier.store.database import Database
from notifier.store.deliveries import Deliveries
from notifier.store.delivery_queue import Claim, DeliveryQueue, Owed, Settlement, Turn
from notifier.store.endpoint_stats import EndpointStats, stats_of
from notifier.store.endpoints import EndpointHealth, Endpoints
from notifier.store.events import Events, LoggedEvent, OutboxEntry
from notifier.store.faults import PREFIX, fault_of
from notifier.store.housekeeping import AdminKeys, Idempotency, StoredAnswer, Telemetry, Workers
from notifier.store.layout import Layout
from notifier.store.paging import Page
from notifier.store.partitions import Partitions
from notifier.store.polls import PollQueue, Polls
from notifier.store.records import Change
from notifier.store.recoveries import Recoveries
from notifier.store.redaction import Redaction
from notifier.store.refusals import SharedRefusals
from notifier.store.resealing import Resealed, Resealing
from notifier.store.retrying import Retrying
from notifier.store.scripts import Script, ScriptCall, script
from notifier.store.sealing import SecretBox, key_id_of
from notifier.store.server import Server, ServerState
from notifier.store.source_health import Cycle, SourceHealth
from notifier.store.spaces import Commit, Spaces, TrackedSpace
from notifier.store.spending import Spending
from notifier.store.standings import Standings
from notifier.store.timers import Timers
from notifier.store.wakeup import Job, JobName, Wakeup, deliver_job
from notifier.store.watches import Watches

WAITING_WORK: Final[Script[list[str]]] = script("waiting_work")
WAITING_PARTITION: Final[Script[int]] = script("waiting_partition")

DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is measured at one moment.

    Attributes:
        deliveries_pending: How many are due or in flight.
        oldest_due_seconds: For how long the delivery that waits longest has been due.
        endpoints: How many there are, by status.
        x_requests_remaining: What is left in each of X's rate buckets that X has described, by call.
    """

    deliveries_pending: int
    oldest_due_seconds: float
    endpoints: Mapping[EndpointStatus, int]
    x_requests_remaining: Mapping[Call, int]


class Store:
    """All records over one connection pool; ``origin`` is a fingerprint of X's URL and the token."""

    def __init__(
        self, database: Database, *, retention_days: float, partitions: int, origin: str = ""
    ) -> None:
        ttl_seconds = int(retention_days * DAY_SECONDS)
        self.database = database
        self.retention_seconds = ttl_seconds
        self.partitions = Partitions(partitions)
        self.layout = Layout(database, self.partitions)
        self.server = Server(database)
        self.watches = Watches(database, ttl_seconds=ttl_seconds)
        self.polls = Polls(database)
        self.standings = Standings(database)
        self.spaces = Spaces(database, ttl_seconds=ttl_seconds)
        self.events = Events(database, ttl_seconds=ttl_seconds)
        self.endpoints = Endpoints(database, self.partitions, ttl_seconds=ttl_seconds)
        self.queue = DeliveryQueue(database, self.partitions, self.events.bodies, ttl_seconds=ttl_seconds)
        self.deliveries = Deliveries(database, self.partitions, ttl_seconds=ttl_seconds)
        self.recoveries = Recoveries(database, self.partitions, ttl_seconds=ttl_seconds)
        self.timers = Timers(database)
        self.redaction = Redaction(database, self.partitions)
        self.health = SourceHealth(database, ttl_seconds=ttl_seconds)
        self.budget = SharedBudget(database, origin)
        self.refusals = SharedRefusals(database)
        self.spending = Spending(database)
        self.workers = Workers(database)
        self.telemetry = Telemetry(database)
        self.admin_keys = AdminKeys(database)
        self.idempotency = Idempotency(database)
        self.resealing = Resealing(database, self.endpoints)

    async def ping(self) -> None:
        """Make sure that Redis answers.

        Raises:
            UnavailableError: It does not.
        """
        await self.database.ping()

    async def waiting_work(self, *, now: float) -> Sequence[JobName]:
        """Return the jobs with work, those of partitions only where no wakeup is on its way."""
        partitions = range(self.partitions.count)
        calls: list[ScriptCall[Any]] = [
            ScriptCall(WAITING_WORK, [schema.OUTBOX()], [int(now * 1000), *Call]),
            *(ScriptCall(WAITING_PARTITION, [schema.READY(partition)]) for partition in partitions),
        ]
        jobs, *waiting = await self.database.run_all(calls)
        return [
            *jobs,
            *(deliver_job(each) for each, waits in zip(partitions, waiting, strict=True) if waits),
        ]

    async def stats_of(self, endpoint_id: str) -> EndpointStats:
        """Return the figures of an endpoint."""
        return await stats_of(self.database, self.partitions, endpoint_id)

    async def counts(self) -> dict[str, int]:
        """Return the numbers of watches, Spaces, events, endpoints and pending deliveries."""
        async with self.database.pipeline() as pipe:
            for key in (schema.WATCHES(), schema.SPACES(), schema.EVENTS()):
                pipe.zcard(key)
            watches, spaces, events = await pipe.execute()
        endpoints = await self.endpoints.all()
        health = await self.endpoints.health_of(list(endpoints))
        return {
            "watches": watches,
            "spaces": spaces,
            "events": events,
            "endpoints": len(endpoints),
            "deliveries_pending": sum(each.pending for each in health),
        }

    async def gauges(self, *, now: float) -> Gauges:
        """Return the values of the gauges."""
        endpoints = await self.endpoints.all()
        health = await self.endpoints.health_of(list(endpoints))
        oldest = min((each.oldest_due_at for each in health if each.oldest_due_at is not None), default=now)
        statuses = Counter(endpoint.status for endpoint in endpoints.values())
        return Gauges(
            deliveries_pending=sum(each.pending for each in health),
            oldest_due_seconds=max(now - oldest, 0.0),
            endpoints={status: statuses[status] for status in EndpointStatus},
            x_requests_remaining=await self.budget.remaining(now=now),
        )


__all__ = [
    "PREFIX",
    "Change",
    "Claim",
    "Commit",
    "Concern",
    "Cycle",
    "Database",
    "EndpointHealth",
    "Job",
    "JobName",
    "LoggedEvent",
    "OutboxEntry",
    "Owed",
    "Page",
    "PollQueue",
    "Resealed",
    "Retrying",
    "SecretBox",
    "ServerState",
    "Settlement",
    "Severity",
    "Store",
    "StoredAnswer",
    "TrackedSpace",
    "Turn",
    "Wakeup",
    "concerns_of",
    "connect",
    "deliver_job",
    "fault_of",
    "key_id_of",
]
