"""Draining a partition of the delivery queue: claim in batches, post at once, settle in batches."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import structlog

from notifier.core.delivery.endpoint import Endpoint
from notifier.core.model.reasons import DisabledReason
from notifier.store import Claim, Settlement, Turn, deliver_job
from workers.attempts import attempt, disable
from workers.context import Worker
from workers.housekeeping import HEARTBEAT_SECONDS

WINDOW: Final = 128
"""How many attempts of one partition are in flight in one worker at a time, while receivers answer quickly.
More would only open more connections: a worker's one core is busy by then."""

TURN_SIZE: Final = 32
"""A turn is taken when so many have ended, or a quarter of those in flight: enough for its cost to be shared,
and enough left in flight that the worker does not wait for Redis."""

LARGEST_WINDOW: Final = 384
"""The same with the slow ones, which cost a socket and no work, and must not take the room of the others."""

SLOW_SECONDS: Final = 0.25
"""An attempt that takes longer than this counts as slow."""

RENEWED_AFTER: Final = 1 / 3
"""The share of a lease after which it is renewed: one renewal may fail and another be late."""

GATHER_SECONDS: Final = 0.005
"""How long an outcome waits for others to be recorded with it."""

FORESIGHT_SECONDS: Final = 5.0
"""What falls due within this time is waited for; the sweep, once a second, finds what comes later."""

LONGEST_DRAIN_SECONDS: Final = 60.0
"""After this long a drain ends and wakes another, which may run in a worker with less to do."""

log = structlog.get_logger(__name__)


async def deliver(worker: Worker, partition: int) -> None:
    """Job: deliver what is due in one partition.

    A worker drains a partition once at a time; a wakeup that finds it at work makes it claim again.
    """
    running = worker.drains.get(partition)
    if running is not None:
        running.claim_again()
        return
    drain = worker.drains[partition] = Drain(worker, partition)
    try:
        await drain.run()
    finally:
        del worker.drains[partition]


@dataclass(slots=True, eq=False)
class Flight:
    """An attempt in flight: its claim, whose lease is renewed, and the loop's time of its start."""

    claim: Claim
    started_at: float


class Drain:
    """One run over a partition."""

    def __init__(self, worker: Worker, partition: int) -> None:
        self._worker = worker
        self._store = worker.runtime.store
        self._partition = partition
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + LONGEST_DRAIN_SECONDS
        # What a dead worker held is found by the next sweep: the setting promises when it goes out again.
        self._lease_seconds = worker.runtime.settings.lease_seconds - HEARTBEAT_SECONDS
        self._renew_at = self._loop.time() + self._lease_seconds * RENEWED_AFTER
        self._in_flight: dict[asyncio.Task[None], Flight] = {}
        self._done: list[tuple[Flight, Settlement]] = []
        self._enough = 1
        self._changed = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._may_claim = True
        self._woken = False
        self._joined = False

    def claim_again(self) -> None:
        """Signal that there may be more to claim."""
        self._may_claim = self._woken = True
        if self._in_flight:
            self._wake_within(GATHER_SECONDS)
        else:
            self._changed.set()

    async def run(self) -> None:
        """Drain until nothing is due, or the worker stops."""
        try:
            while True:
                await self._turn()
                if not (self._in_flight or self._done or self._woken):
                    break
                await self._changed.wait()
        finally:
            # Also when the job is cancelled or Redis fails: finish and record what is in flight.
            self._silence()
            if self._in_flight:
                await asyncio.wait(self._in_flight)
            if self._done:
                await self._settle_and_claim(limit=0)
        if self._may_claim:
            await self._worker.runtime.wakeup.deliver([self._partition])

    async def _turn(self) -> None:
        """Record what has ended, claim what there is room for, and set it off."""
        self._silence()
        await self._renew_leases()
        self._woken = False
        # What was held back by an endpoint's concurrency may go once an outcome is recorded.
        self._may_claim = self._may_claim or bool(self._done)
        goes_on = self._loop.time() < self._ends_at and not self._worker.stopping.is_set()
        room = self._room() if self._may_claim and goes_on else 0
        if room > 0:
            self._may_claim = False
        turn = await self._settle_and_claim(limit=room)
        if 0 < room == len(turn.claims):
            self._join_in()
        if turn.claims:
            self._may_claim = True
            endpoints = await self._store.endpoints.all_since(self._partition, turn.generation)
            self._worker.forget_secrets(endpoints)
            for claim in turn.claims:
                flight = Flight(claim, self._loop.time())
                task = self._loop.create_task(self._attempt(flight, endpoints.get(claim.endpoint_id)))
                self._in_flight[task] = flight
                task.add_done_callback(self._ended)
        if turn.next_in is not None and 0 < turn.next_in <= FORESIGHT_SECONDS:
            self._worker.start_in(deliver_job(self._partition), max(turn.next_in, GATHER_SECONDS))
        self._enough = max(1, min(len(self._in_flight) // 4, TURN_SIZE))
        # Whatever woke it up in the meantime is checked again.
        self._changed.clear()
        if self._has_enough():
            self._changed.set()
        elif self._done or self._woken:
            self._wake_within(GATHER_SECONDS)
        elif self._may_claim:
            # Those in flight may turn out to be slow, and then there is room for others.
            self._wake_within(SLOW_SECONDS)
        if self._in_flight:
            self._wake_within(self._renew_at - self._loop.time())

    async def _renew_leases(self) -> None:
        """Renew the leases of attempts in progress, and release claims whose answer was lost."""
        repeats = self._store.database.repeats
        if self._loop.time() < self._renew_at and not self._worker.may_have_lost_claims(self._partition):
            return
        flights = [*self._in_flight.values(), *(flight for flight, _ in self._done)]
        renewal = await self._store.queue.renew(
            self._partition,
            [flight.claim for flight in flights],
            lease_seconds=self._lease_seconds,
            holder=self._worker.id,
        )
        for flight, claim in zip(flights, renewal.claims, strict=True):
            flight.claim = claim
        self._renew_at = self._loop.time() + self._lease_seconds * RENEWED_AFTER
        self._worker.repeats_seen[self._partition] = repeats
        self._may_claim = self._may_claim or renewal.released > 0

    def _has_enough(self) -> bool:
        """Return whether enough attempts have ended to settle them."""
        return len(self._done) >= self._enough or not self._in_flight

    def _join_in(self) -> None:
        """Drain the other partitions, too, since there is more to do than one worker can do at once.

        Wakeups are few, and any worker may have taken those for the other partitions.
        """
        if not self._joined:
            self._joined = True
            for partition in range(self._store.partitions.count):
                if partition not in self._worker.drains:
                    self._worker.start(self._worker, deliver_job(partition))

    def _room(self) -> int:
        """Return how many more attempts may be set off."""
        since = self._loop.time() - SLOW_SECONDS
        # The dictionary keeps the order in which they began.
        slow = sum(1 for _ in takewhile(lambda flight: flight.started_at < since, self._in_flight.values()))
        return min(WINDOW + slow, LARGEST_WINDOW) - len(self._in_flight)

    async def _settle_and_claim(self, *, limit: int) -> Turn:
        done = [
            settlement if settlement.claim is flight.claim else settlement._replace(claim=flight.claim)
            for flight, settlement in self._done
        ]
        turn = await self._store.queue.turn(
            self._partition,
            done,
            limit=limit,
            lease_seconds=self._lease_seconds,
            holder=self._worker.id,
        )
        del self._done[: len(done)]
        if turn.stale:
            log.warning("delivery.lease_lost", partition=self._partition, count=turn.stale)
        if turn.given_up:
            endpoints = await self._store.endpoints.all()
            for endpoint_id in turn.given_up:
                if endpoint_id in endpoints:
                    await disable(self._worker, endpoints[endpoint_id], DisabledReason.FAILING)
        return turn

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Note the end of an attempt, and take the next turn when enough have ended or a moment has passed.

        A turn costs about the same for one outcome as for a hundred.
        """
        del self._in_flight[task]
        if self._has_enough():
            self._changed.set()
        else:
            self._wake_within(GATHER_SECONDS)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # The lease will expire and the delivery be retried; the log must show that this is our own fault.
            log.error("delivery.crashed", partition=self._partition, exc_info=error)

    def _wake_within(self, seconds: float) -> None:
        """Take a turn after this long at the latest; an earlier moment that is set already stays."""
        at = self._loop.time() + seconds
        if self._alarm is None or self._alarm_at > at:
            self._silence()
            self._alarm, self._alarm_at = self._loop.call_at(at, self._changed.set), at

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def _attempt(self, flight: Flight, endpoint: Endpoint | None) -> None:
        if endpoint is not None:  # or it was deleted a moment ago, and its queue with it
            self._done.append((flight, await attempt(self._worker, flight.claim, endpoint)))
