"""Each script uses keys of one tag only: on a cluster with a node per tag, others are an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, Ordering
from notifier.core.events.event import Event
from notifier.core.model.ids import EndpointId, RecoveryId, WatchId, delivery_id
from notifier.core.model.observation import Call
from notifier.core.model.poll import NextPoll, Urgency
from notifier.core.model.watch import Watch, WatchKind
from notifier.core.polling.health import Health
from notifier.core.polling.refusals import Refusals
from notifier.errors import UnavailableError
from notifier.store import Claim, Store, schema
from notifier.store.database import Database
from notifier.store.doctor.keyspace import DESCRIBE_KEYS
from notifier.store.doctor.log import EXAMINE_EVENTS
from notifier.store.doctor.queue import EXAMINE_DELIVERIES
from notifier.store.doctor.spaces import EXAMINE_SPACES
from notifier.store.endpoints import ERASE_MEMORIES
from notifier.store.events import WatchChange
from notifier.store.resealing import RESEAL_ANSWER
from notifier.store.scripts import Script
from tests.support.cluster import ClusterDatabase, cluster_store, running_cluster
from tests.support.cluster import settled as met
from tests.support.dispatching import dispatch_events
from tests.support.pipeline import commit_space_events, numbered_event
from tests.support.queue import settled

pytestmark = pytest.mark.server

PARTITIONS: Final = 2
TAGS: Final = ("{d}", *(f"{{p{number}}}" for number in range(PARTITIONS)))
NOW: Final = 1_700_000_000.0
HOLDER: Final = "host/1:2:abc"
ALL_SCRIPTS: Final = {
    path.name.removesuffix(".lua")
    for path in (files("notifier.store") / "lua").iterdir()
    if path.name.endswith(".lua")
}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Store, ClusterDatabase]]:
    with running_cluster(tmp_path, tags=TAGS) as nodes:
        await met(nodes)
        async with cluster_store(nodes[0], partitions=PARTITIONS) as store:
            yield store


async def test_every_script_keeps_to_its_tag(opened: tuple[Store, ClusterDatabase]) -> None:
    store, database = opened
    await watch_and_poll(store)
    endpoints = [await add(store, name) for name in ("plain", "held", "late")]
    assert {store.partitions.of(each.id) for each in endpoints} == {0, 1}
    await deliver(store, endpoints)
    await recover(store, endpoints[0])
    await examine(database, endpoints[0])
    await end(store, endpoints)
    assert database.scripts_run == ALL_SCRIPTS


async def test_a_foreign_key_is_an_error(opened: tuple[Store, ClusterDatabase]) -> None:
    _, database = opened
    script: Script[Any] = Script("stray", "#!lua\nreturn redis.call('GET', 'sn:{p0}:generation')", "0" * 40)
    with pytest.raises(UnavailableError, match="non local key"):
        await run_new(database, script)


async def run_new(database: Database, script: Script[Any]) -> None:
    sha = await database.redis.script_load(script.source)
    await database.run(replace(script, sha=sha), keys=[schema.OUTBOX()])


def a_watch(name: str) -> Watch:
    return Watch(id=WatchId(f"wch_{name}"), kind=WatchKind.CREATOR, target="1", subject="1", created_at=NOW)


async def watch_and_poll(store: Store) -> None:
    """Run the scripts of the deciding side that need no endpoint."""
    watch = a_watch("first")
    await store.watches.create(watch, now=NOW)
    await store.polls.add(Call.LOOKUP, ["A"], at=NOW)
    first = await store.polls.first(Call.LOOKUP, now=NOW, limit=10)
    assert await store.polls.claim(Call.LOOKUP, first.urgent, now=NOW) == first.urgent
    await store.polls.schedule(Call.LOOKUP, {"A": NextPoll(NOW + 60, Urgency.PATIENT)})
    await commit_space_events(store, "A", 1, 2)
    changed = replace(watch, baselined=True)
    assert await store.events.commit(
        numbered_event(1), change=WatchChange(before=watch, after=changed, versions={})
    )
    holding = await store.spending.hold(1, limit=1_000, now=NOW)
    await store.spending.bill(["A"], ["1"], now=NOW, hold=holding.id)
    await store.health.note_cycle(["A"], ["B"], now=NOW)
    _, record = await store.health.read()
    assert await store.health.replace(record, Health(), [numbered_event(2)])
    refusals = await store.refusals.read()
    assert await store.refusals.replace(refusals, Refusals())
    await store.timers.untrack(["A"], now=NOW)
    await store.watches.delete(watch.id, now=NOW)


async def add(store: Store, name: str, **changes: Any) -> Endpoint:
    endpoint = Endpoint(
        id=EndpointId("ep_" + name.rjust(16, "0")),
        url="https://x.example/",
        event_types=("*",),
        ordering=Ordering.SPACE,
        created_at=NOW,
        updated_at=NOW,
    )
    endpoint = replace(endpoint, **changes)
    await store.endpoints.create(endpoint)
    return endpoint


async def deliver(store: Store, endpoints: list[Endpoint]) -> None:
    """Run the scripts of dispatch, delivery, failure and redelivery."""
    waiting, _ = await store.events.undispatched(limit=10)
    await dispatch_events(store, [(entry.id, endpoints) for entry in waiting])
    jobs = await store.waiting_work(now=NOW)
    assert "dispatch" not in jobs
    claims: list[Claim] = []
    for partition in range(PARTITIONS):
        turn = await store.queue.turn(partition, [], limit=100, lease_seconds=30, holder=HOLDER)
        assert all(claim.body for claim in turn.claims)
        renewal = await store.queue.renew(partition, turn.claims, lease_seconds=30, holder=HOLDER)
        claims += renewal.claims
    for claim in claims:
        failed = settled(claim, DeliveryStatus.PENDING, delay=60.0, succeeded=False)
        partition = store.partitions.of(claim.endpoint_id)
        await store.queue.turn(partition, [failed], limit=0, lease_seconds=30, holder=HOLDER)
    await store.queue.release(HOLDER)
    await store.deliveries.redeliver(delivery_id(claims[0].event_id, claims[0].endpoint_id))
    assert (await store.stats_of(endpoints[0].id)).pending > 0


async def recover(store: Store, endpoint: Endpoint) -> None:
    """Run the scripts of a recovery."""
    missed: list[Event] = [numbered_event(number) for number in (10, 11)]
    for event in missed:
        await store.events.commit(event)
    await dispatch_events(store, [(event.id, []) for event in missed])
    span = await store.recoveries.read_span("2001-01-01T00:00:00Z", None)
    assert await store.recoveries.count(endpoint, span) == 2
    recovery = await store.recoveries.start(RecoveryId("rec_1"), endpoint, span, count=2)
    batch = await store.recoveries.next_batch(recovery, endpoint)
    await store.recoveries.advance(recovery, batch)
    assert (await store.recoveries.get(endpoint.id, recovery.id)).queued == 2
    await store.recoveries.cancel(recovery.id)


async def examine(database: ClusterDatabase, endpoint: Endpoint) -> None:
    """Run the doctor's scripts; its transactions need a single server."""
    await database.run(EXAMINE_EVENTS, keys=[schema.EVENTS()], args=["evt_1"])
    await database.run(EXAMINE_SPACES, keys=[schema.SPACES()], args=["A"])
    state = schema.STATE(0, endpoint.id)
    await database.run(EXAMINE_DELIVERIES, keys=[state], args=[endpoint.id, "evt_1", "1", "A"])
    await database.run(DESCRIBE_KEYS, keys=[state])


async def end(store: Store, endpoints: list[Endpoint]) -> None:
    """Run the scripts of changes, erasure, deletion and trimming."""
    first = endpoints[0]
    await store.endpoints.save(replace(first, status=EndpointStatus.DISABLED), replacing=first)
    await store.endpoints.claim_challenges(due_at=NOW, lease_end=NOW, limit=1)
    await store.redaction.redact((await store.spaces.get("A")).known.space.id)  # type: ignore[union-attr]
    for endpoint in endpoints[1:]:
        await store.endpoints.delete(endpoint.id)
    await store.spaces.trim()
    await store.events.trim()
    await store.endpoints.trim()
    memories = [store.partitions.key(row, first.id) for row in (schema.MEMORIES, schema.MEMORY_ENDS)]
    await store.database.run(ERASE_MEMORIES, keys=memories)
    await store.layout.settle_in()
    await store.database.run(RESEAL_ANSWER, keys=[schema.IDEMPOTENCY("k")], args=["a", "b"])
