"""A consistent database with a little of everything in it; built once and restored for each test."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from notifier.core.delivery.delivery import Attempt, DeliveryStatus, Trigger
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, Ordering
from notifier.core.model.ids import AttemptId, EndpointId, RecoveryId, delivery_id
from notifier.core.model.observation import Call
from notifier.core.model.watch import WatchKind
from notifier.runtime import Runtime, open_runtime
from notifier.store import Job, Settlement, Store, deliver_job, schema
from notifier.store.job_queue import job_queue
from tests.support.pipeline import numbered_event, quick_settings
from tests.support.rig import open_rig
from workers.clients import delivery_client
from workers.context import Worker
from workers.recover import recover

SCENARIO: Final = """
users: [{id: "1", name: Host, username: host}, {id: "2", name: Other, username: other}]
spaces:
  - id: PLANNED
    creator_id: "1"
    timeline: [{at: 0s, set: {state: scheduled, title: Later, scheduled_start: +144000s, host_ids: ["1"]}}]
  - id: LIVE
    creator_id: "1"
    timeline:
      - {at: 0s, set: {state: live, title: First, started_at: -60s, host_ids: ["1"], speaker_ids: ["2"]}}
      - {at: 900s, set: {title: Second}}
      - {at: 1800s, set: {title: Third}}
  - id: GONE
    creator_id: "2"
    timeline:
      - {at: 0s, set: {state: live, title: Short, started_at: -60s, host_ids: ["2"]}}
      - {at: 900s, gone: true}
"""

PARTITIONS: Final = 2
HOURS_TO_ERASE: Final = 13
LEASE_SECONDS: Final = 1_800.0
KEPT_MS: Final = 3_600_000
"""The minimum TTL of expiring keys, so that none expires in the middle of a test."""


@dataclass
class Healthy:
    """The names of the records in the database, for tests that break them."""

    names: dict[str, str] = field(default_factory=dict)
    records: dict[str, tuple[bytes, int]] = field(default_factory=dict)


_built: list[Healthy] = []


async def restore_healthy(redis_url: str, raw: Any) -> Healthy:
    """Restore the healthy database on the server; ``raw`` is a client that does not decode."""
    if not _built:
        healthy = Healthy()
        healthy.names = await _build(redis_url)
        async for key in raw.scan_iter():
            healthy.records[key] = await raw.dump(key), max(await raw.pttl(key), 0)
        _built.append(healthy)
    async with raw.pipeline(transaction=False) as pipe:
        pipe.flushall()
        for key, (dump, ttl) in _built[0].records.items():
            pipe.restore(key, ttl and max(ttl, KEPT_MS), dump)
        await pipe.execute()
    return _built[0]


def _settled(claim: Any, status: DeliveryStatus, *, ok: bool) -> Settlement:
    attempt = Attempt(
        id=AttemptId("att_1"),
        number=1,
        trigger=Trigger.SCHEDULED,
        started_at=1.0,
        outcome="retry",
        reason="the receiver failed",
    )
    return Settlement(claim, status, attempt, 1, delay=60.0, succeeded=ok)


async def _endpoint(store: Store, name: str, **changes: Any) -> Endpoint:
    endpoint = Endpoint(
        id=EndpointId("ep_" + name.rjust(16, "0")), url="https://x.example/", created_at=1.0, updated_at=1.0
    )
    endpoint = replace(endpoint, event_types=("*",), max_concurrency=2, **changes)
    await store.endpoints.create(endpoint)
    return endpoint


async def _build(redis_url: str) -> dict[str, str]:
    async with open_rig(redis_url, SCENARIO, delivery_partitions=PARTITIONS) as rig:
        store = rig.runtime.store
        plain = await _endpoint(store, "plain")
        ordered = await _endpoint(store, "ordered", ordering=Ordering.SPACE)
        await rig.watch(WatchKind.CREATOR, "1", "2")
        await rig.watch(WatchKind.SPACE, "LIVE")
        await rig.watch(WatchKind.SEARCH, "nothing like it")
        await rig.watch(WatchKind.CREATOR, "@nobody_yet")
        await rig.poll()
        await rig.pass_time(HOURS_TO_ERASE * 3600, step=600)
        await rig.watch(WatchKind.CREATOR, "@somebody")
        held = await _endpoint(store, "held")
        await store.endpoints.save(replace(held, status=EndpointStatus.DISABLED), replacing=held)
    async with open_runtime(quick_settings(redis_url, delivery_partitions=PARTITIONS)) as runtime:
        return await _deliver(runtime, plain, ordered)


async def _settle_some(store: Store, plain: Endpoint, ordered: Endpoint) -> dict[str, str]:
    """Create ended deliveries, returned by status, and one in flight."""
    outcomes = [(DeliveryStatus.DELIVERED, True), (DeliveryStatus.EXHAUSTED, False)]
    places: dict[str, str] = {}
    for partition in {store.partitions.of(plain.id), store.partitions.of(ordered.id)}:
        turn = await store.queue.turn(partition, [], limit=4, lease_seconds=LEASE_SECONDS)
        mine = [claim for claim in turn.claims if claim.endpoint_id == plain.id]
        settlements = [
            _settled(claim, status, ok=ok) for claim, (status, ok) in zip(mine, outcomes, strict=False)
        ]
        await store.queue.turn(partition, settlements, limit=0, lease_seconds=LEASE_SECONDS)
        places |= {outcome[0]: claim.event_id for claim, outcome in zip(mine, outcomes, strict=False)}
    await store.queue.turn(store.partitions.of(plain.id), [], limit=2, lease_seconds=LEASE_SECONDS)
    return places


async def _recover_some(runtime: Runtime) -> Endpoint:
    """Create a finished recovery and a running one."""
    store = runtime.store
    late = await _endpoint(store, "late")
    span = await store.recoveries.span_since(0)
    await store.recoveries.start(RecoveryId("rec_done"), late, span, count=1)
    async with delivery_client(runtime, max_connections=1) as client:
        await recover(Worker("worker", runtime, None, client))
    await store.recoveries.start(RecoveryId("rec_runs"), late, span, count=1)
    return late


async def _deliver(runtime: Runtime, plain: Endpoint, ordered: Endpoint) -> dict[str, str]:
    """Create deliveries in every state, and return the names of all records."""
    store = runtime.store
    places = await _settle_some(store, plain, ordered)
    late = await _recover_some(runtime)
    waiting = numbered_event(7)
    await store.events.commit(waiting)
    await runtime.wakeup.ring(Job.DISPATCH, deliver_job(0))
    redis = store.database.redis
    job = await job_queue(redis).enqueue_job("cron:trim")
    assert job is not None
    due = await redis.zrange(store.partitions.key(schema.DUE, plain.id), 0, 0)
    leased = await redis.zrange(store.partitions.key(schema.LEASED, plain.id), 0, 0)
    line = await redis.zrange(store.partitions.key(schema.LINE, ordered.id, "LIVE"), 0, -1)
    live = await redis.zrange(schema.SPACE_EVENTS("LIVE"), 0, -1)
    return {
        "plain": plain.id,
        "ordered": ordered.id,
        "late": late.id,
        "partition": str(store.partitions.of(plain.id)),
        "ordered_partition": str(store.partitions.of(ordered.id)),
        "other_partition": str(1 - store.partitions.of(plain.id)),
        "delivered": places[DeliveryStatus.DELIVERED],
        "exhausted": places[DeliveryStatus.EXHAUSTED],
        "dlv_delivered": delivery_id(places[DeliveryStatus.DELIVERED], plain.id),  # type: ignore[arg-type]  # ids
        "dlv_exhausted": delivery_id(places[DeliveryStatus.EXHAUSTED], plain.id),  # type: ignore[arg-type]  # ids
        "due": due[0],
        "dlv_due": delivery_id(due[0], plain.id),
        "leased": leased[0],
        "dlv_leased": delivery_id(leased[0], plain.id),
        "first": line[0],
        "second": line[1],
        "dlv_first": delivery_id(line[0], ordered.id),
        "dlv_second": delivery_id(line[1], ordered.id),
        "live_first": live[0],
        "live_last": live[-1],
        "waiting": waiting.id,
        "job": job.job_id,
        "creator_watch": (await redis.hget(schema.WATCH_BY(WatchKind.CREATOR), "1")),
        "polls": schema.POLLS(Call.CREATORS, "patient"),
    }
