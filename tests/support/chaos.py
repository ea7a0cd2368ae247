"""A delivery load for the chaos tests, with a record of interrupted attempts and the final check."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, Ordering, SealedSecret
from notifier.core.events.event import EventType, Sighting, space_event
from notifier.core.model.ids import EndpointId, EventId, SpaceId
from notifier.core.model.space import Phase, Space
from notifier.core.spaces.known import KnownSpace
from notifier.runtime import Runtime, open_runtime
from notifier.store import Commit, schema
from notifier.store.doctor import findings
from tests.support.counting_receiver import CountingReceiver, PathBehaviour
from tests.support.pipeline import MASTER_KEY, SECRET, numbered_event, quick_settings
from tests.support.processes import NotifierProcess
from tests.support.wait import wait_until

REQUEST_TIMEOUT: Final = 3.0
"""Longer than any pause of the receiver, which shares a process with the test, on a busy machine."""

LEASE: Final = 8.0
"""How long after a kill, at most, a worker's deliveries are due again."""

BEHAVIOURS: Final = {
    "/plain0": PathBehaviour(),
    "/plain1": PathBehaviour(),
    "/plain2": PathBehaviour(),
    "/plain3": PathBehaviour(),
    "/slow": PathBehaviour(delay=0.05),
    "/shaky": PathBehaviour(fails_each=10),
    "/ordered0": PathBehaviour(),
    "/ordered1": PathBehaviour(),
    "/orderedslow": PathBehaviour(delay=0.02),
    "/orderedshaky": PathBehaviour(fails_each=10),
}
"""Ten endpoints; those named ``ordered`` want the events of a Space in order."""

SPACES: Final = 50
EVENTS_OF_A_SPACE: Final = 8
PLAIN_EVENTS: Final = 100
ROUND: Final = len(BEHAVIOURS) * (SPACES * EVENTS_OF_A_SPACE + PLAIN_EVENTS)
"""Deliveries per round: 5,000."""

READ_AT_ONCE: Final = 1000
RESTART_PAUSE_SECONDS: Final = 0.5
SETTLED_WITHIN_SECONDS: Final = 90.0


class Lease(NamedTuple):
    """An attempt in flight; no other worker makes one before ``ends_at`` (epoch ms)."""

    endpoint_id: EndpointId
    event_id: EventId
    ends_at: float


@dataclass(slots=True)
class DeliveryLoad:
    """Endpoints, the events they must receive, and the attempts that may be repeated."""

    runtime: Runtime
    receiver: CountingReceiver
    endpoints: dict[str, Endpoint] = field(default_factory=dict)  # by path, like the receivers
    receivers: dict[str, CountingReceiver] = field(default_factory=dict)
    events: list[EventId] = field(default_factory=list)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)  # event id -> its Space and sequence
    interrupted: set[Lease] = field(default_factory=set)
    rounds: int = 0

    async def add_endpoint(self, path: str, receiver: CountingReceiver | None = None) -> None:
        """Register an endpoint that subscribes to everything."""
        now = self.runtime.clock()
        self.receivers[path] = receiver or self.receiver
        self.endpoints[path] = Endpoint(
            id=EndpointId("ep_" + path.strip("/").rjust(16, "0")),
            url=self.receivers[path].url(path),
            event_types=("*",),
            ordering=Ordering.SPACE if path.startswith("/ordered") else Ordering.NONE,
            secrets=(SealedSecret(self.runtime.secrets.seal(SECRET)),),
            created_at=now,
            updated_at=now,
        )
        await self.runtime.store.endpoints.create(self.endpoints[path])

    async def commit_round(self) -> None:
        """Commit a round of events, most of them about Spaces; sequences continue across rounds."""
        self.rounds += 1
        await self.commit([space_commit(number, self.rounds) for number in range(SPACES)])
        for number in range(PLAIN_EVENTS):
            await self.commit_plain(self.rounds * PLAIN_EVENTS + number)

    async def commit(self, commits: Sequence[Commit]) -> None:
        """Commit events of Spaces; once acknowledged, none may be lost."""
        assert all(await self.runtime.store.spaces.commit(commits))
        for each in commits:
            self.record_committed(each)

    def record_committed(self, commit: Commit) -> None:
        """Record the events that must now be delivered."""
        for event in commit.events:
            self.events.append(event.id)
            self.places[event.id] = commit.known.space.id, event.sequence or 0

    async def commit_plain(self, number: int) -> None:
        """Commit an event that is not about a Space."""
        event = numbered_event(number)
        await self.runtime.store.events.commit(event)
        self.events.append(event.id)

    async def accepted(self, count: int) -> None:
        """Wait until the receiver has accepted ``count`` deliveries."""
        await wait_until(
            lambda: self.receiver.accepted >= count,
            timeout=SETTLED_WITHIN_SECONDS,
            message=lambda: f"{self.receiver.accepted} of {count} were accepted",
        )

    async def record_interrupted(self) -> int:
        """Record the attempts in flight just after a process died; return how many there are.

        Everything the dead process sent to the database has been applied by the second read: what it settled
        was not interrupted. Live workers hold leases as well, so the record may include more than necessary.
        """
        await self._leases()
        in_flight = await self._leases()
        self.interrupted |= in_flight
        return len(in_flight)

    async def _leases(self) -> set[Lease]:
        async with self.runtime.store.database.pipeline() as pipe:
            for endpoint in self.endpoints.values():
                pipe.zrange(
                    self.runtime.store.partitions.key(schema.LEASED, endpoint.id), 0, -1, withscores=True
                )
            rows = await pipe.execute()
        return {
            Lease(endpoint.id, event_id, ends_at)
            for endpoint, leases in zip(self.endpoints.values(), rows, strict=True)
            for event_id, ends_at in leases
        }

    async def settled(self) -> None:
        """Wait until every delivery is settled."""

        async def is_settled() -> bool:
            gauges = await self.runtime.store.gauges(now=self.runtime.clock())
            outbox = await self.runtime.store.events.undispatched(limit=1)
            return gauges.deliveries_pending == 0 and not outbox.entries

        await wait_until(
            is_settled, timeout=SETTLED_WITHIN_SECONDS, interval=0.1, message="every delivery is settled"
        )

    async def check(self) -> None:
        """Check that nothing was lost, only interrupted attempts were repeated, and order was kept."""
        may_repeat = Counter((lease.endpoint_id, lease.event_id) for lease in self.interrupted)
        for path, endpoint in self.endpoints.items():
            arrivals = self.receivers[path].arrivals[path]
            accepted = Counter(each.event_id for each in arrivals if each.accepted)
            assert accepted.keys() == set(self.events), f"{path} got the wrong events"
            for event_id, times in accepted.items():
                allowed = 1 + may_repeat[endpoint.id, EventId(event_id)]
                assert times <= allowed, f"{path} got {event_id} {times} times, at most {allowed} allowed"
            if endpoint.ordering is Ordering.SPACE:
                self._check_order(path, [each.event_id for each in arrivals])
        await self._check_queues()
        assert await findings(self.runtime.store) == []

    def _check_order(self, path: str, event_ids: Sequence[str]) -> None:
        seen: dict[str, list[int]] = defaultdict(list)
        for event_id in event_ids:
            if event_id in self.places:
                space, sequence = self.places[event_id]
                seen[space].append(sequence)
        for space, sequences in seen.items():
            assert sequences == sorted(sequences), f"{path} got {space} out of order"

    async def _check_queues(self) -> None:
        """Check that every delivery ended exactly once and has left all queues."""
        assert await self._leases() == set()
        async with self.runtime.store.database.pipeline() as pipe:
            for endpoint in self.endpoints.values():
                pipe.zcard(self.runtime.store.partitions.key(schema.DUE, endpoint.id))
                pipe.hlen(self.runtime.store.partitions.key(schema.LINES, endpoint.id))
                pipe.hget(
                    self.runtime.store.partitions.key(schema.STATE, endpoint.id), DeliveryStatus.DELIVERED
                )
            assert await pipe.execute() == [0, 0, str(len(self.events))] * len(self.endpoints)
            pipe.zcard(schema.OUTBOX())
            assert await pipe.execute() == [0]
        for endpoint in self.endpoints.values():
            for start in range(0, len(self.events), READ_AT_ONCE):
                await self._check_delivered(endpoint, self.events[start : start + READ_AT_ONCE])

    async def _check_delivered(self, endpoint: Endpoint, event_ids: Sequence[EventId]) -> None:
        async with self.runtime.store.database.pipeline() as pipe:
            for event_id in event_ids:
                pipe.hget(self.runtime.store.partitions.delivery(event_id, endpoint.id), "status")
            assert set(await pipe.execute()) == {DeliveryStatus.DELIVERED}


def space_commit(number: int, round_: int) -> Commit:
    """Return the commit of a Space in a round, counted from 1, with arbitrary events."""
    last = round_ * EVENTS_OF_A_SPACE
    described = Space(id=SpaceId(f"1chaos{number:06}"), state="live")
    known = KnownSpace(
        space=described, phase=Phase.LIVE, sequence=last, began_at=0.0, observed_at=0.0, phase_since=0.0
    )
    events = tuple(
        space_event(
            EventType.TITLE_CHANGED,
            sequence=sequence,
            before=described,
            after=described.with_values({"title": f"number {sequence}"}),
            changed=("title",),
            details={},
            users={},
            sighting=Sighting(1.0, (0.0, 1.0), first_sighting=False, watch_ids=()),
        )
        for sequence in range(last - EVENTS_OF_A_SPACE + 1, last + 1)
    )
    return Commit(known, round_ - 1, events, (), timers={})


@asynccontextmanager
async def open_load(redis_url: str, *, verifies: bool = True) -> AsyncIterator[DeliveryLoad]:
    """Register the ten endpoints and return a load with no events yet."""
    settings = quick_settings(redis_url, request_timeout_seconds=REQUEST_TIMEOUT, lease_seconds=LEASE)
    async with CountingReceiver(BEHAVIOURS, verifies=verifies) as receiver, open_runtime(settings) as runtime:
        load = DeliveryLoad(runtime, receiver)
        for path in BEHAVIOURS:
            await load.add_endpoint(path)
        yield load


def worker_process(
    redis_url: str, directory: Path, *, name: str = "worker", variables: Mapping[str, str] | None = None
) -> NotifierProcess:
    """Return a worker with short retries, not yet started."""
    settings: dict[str, Any] = {
        "REDIS_URL": redis_url,
        "MASTER_KEYS": MASTER_KEY,
        "ALLOW_HTTP": "true",
        "ALLOWED_NETWORKS": "127.0.0.0/8",
        "REQUEST_TIMEOUT_SECONDS": str(REQUEST_TIMEOUT),
        "LEASE_SECONDS": str(LEASE),
        "RETRY_SCHEDULE_SECONDS": ",".join(["0.3"] * 50),
        "LOG_FORMAT": "json",
    }
    return NotifierProcess("worker", directory=directory, settings=settings, variables=variables, name=name)


@asynccontextmanager
async def restarted_on_exit(process: NotifierProcess) -> AsyncIterator[list[int]]:
    """Restart a process whenever it exits, like a supervisor; yield the list of exit codes."""
    ended: list[int] = []

    async def keep() -> None:
        while True:
            ended.append(await process.wait(timeout=float("inf")))
            await asyncio.sleep(RESTART_PAUSE_SECONDS)
            process.start()

    with process:
        keeper = asyncio.create_task(keep())
        try:
            yield ended
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
