"""Every inconsistency is created by hand, and the doctor finds exactly that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import SealedSecret, SealedTarget
from notifier.core.delivery.recovery import RecoveryStatus
from notifier.runtime import Runtime, open_runtime
from notifier.store import Job, SecretBox, doctor, schema
from notifier.store.doctor import findings
from notifier.store.endpoint_state import StateField
from tests.support.database_contents import contents, differences
from tests.support.healthy_database import PARTITIONS, restore_healthy
from tests.support.pipeline import SECRET, add_endpoint, numbered_event, quick_settings
from tests.support.queue import add
from tests.support.receiver import Receiver
from tests.support.worker import running_worker

pytestmark = pytest.mark.server


@pytest.fixture
async def names(redis_url: str) -> AsyncIterator[dict[str, str]]:
    async with Redis.from_url(redis_url) as raw:
        yield (await restore_healthy(redis_url, raw)).names
        await raw.flushall()  # What a test has broken must not count as a leak.


@pytest.fixture
async def runtime(
    redis_url: str, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Runtime]:
    assert names
    monkeypatch.setattr(doctor, "POLL_AGAIN_SECONDS", 0.0)  # The state is constant here.
    async with open_runtime(quick_settings(redis_url, delivery_partitions=PARTITIONS)) as opened:
        yield opened


async def found(runtime: Runtime) -> list[str]:
    """Return the doctor's findings, and check that it changes nothing."""
    before = await contents(runtime.store.database.redis)
    texts = [str(finding) for finding in await findings(runtime.store)]
    assert await contents(runtime.store.database.redis) == before
    return texts


async def test_nothing_is_found_in_a_healthy_database(runtime: Runtime) -> None:
    assert await found(runtime) == []


BROKEN: Final = {
    # Law 5
    "owed and nowhere": (
        "ZREM sn:{{p0}}:due:{plain} {due}",
        ["sn:{{p0}}:delivery:{dlv_due}: is owed and in no queue: it will never be sent"],
    ),
    "due and settled": (
        "ZADD sn:{{p0}}:due:{plain} 1 {delivered}",
        ["sn:{{p0}}:delivery:{dlv_delivered}: is due and settled at once"],
    ),
    "due and leased": (
        "ZADD sn:{{p0}}:due:{plain} 1 {leased}",
        ["sn:{{p0}}:delivery:{dlv_leased}: is due and leased at once"],
    ),
    "leased and settled": (
        "ZADD sn:{{p0}}:leased:{plain} 9000000 {exhausted}",
        [
            "sn:{{p0}}:delivery:{dlv_exhausted}: is leased and settled at once",
            "sn:{{p{partition}}}:ready: {plain} is filed later than it has work",
        ],
    ),
    "due and never owed": (
        "SREM sn:{{p0}}:recipients:{due} {plain}",
        ["sn:{{p0}}:recipients:{due}: {plain} is not in it, but sn:{{p0}}:delivery:{dlv_due} is due"],
    ),
    "owed and not listed": (
        "ZREM sn:{{p0}}:history:{plain} {due}",
        ["sn:{{p0}}:history:{plain}: {due} is owed and not listed under its serial"],
    ),
    "listed under another serial": (
        "ZADD sn:{{p0}}:history:{plain} 1 {delivered}",
        ["sn:{{p0}}:history:{plain}: {delivered} is owed and not listed under its serial"],
    ),
    # Lines
    "the second of a line is due": (
        "ZADD sn:{{p0}}:due:{ordered} 1 {second}",
        ["sn:{{p0}}:delivery:{dlv_second}: is due although an earlier event of its Space is not done"],
    ),
    "the first of a line is nowhere": (
        "ZREM sn:{{p0}}:leased:{ordered} {first}",
        [
            "sn:{{p0}}:delivery:{dlv_first}: is owed and in no queue: it will never be sent",
            "sn:{{p{ordered_partition}}}:ready: {ordered} is filed later than it has work",
        ],
    ),
    "in a line and not in the index": (
        "HDEL sn:{{p0}}:lines:{ordered} {second}",
        ["sn:{{p0}}:lines:{ordered}: {second} is only in its line"],
    ),
    "in the index and in no line": (
        "ZREM sn:{{p0}}:line:{ordered}:LIVE {second}",
        [
            "sn:{{p0}}:delivery:{dlv_second}: is owed and in no queue: it will never be sent",
            "sn:{{p0}}:lines:{ordered}: {second} is only here",
        ],
    ),
    "lines are miscounted": (
        "HINCRBY sn:{{p0}}:state:{ordered} lines 1",
        ["sn:{{p0}}:state:{ordered}: counts another number of lines than there are"],
    ),
    # Delivery records
    "a status that there is not": (
        "HSET sn:{{p0}}:delivery:{dlv_delivered} status lost",
        ["sn:{{p0}}:delivery:{dlv_delivered}: cannot be read (ValueError)"],
    ),
    "an attempt that is none": (
        "HSET sn:{{p0}}:delivery:{dlv_delivered} att_2 {{}}",
        ["sn:{{p0}}:delivery:{dlv_delivered}: cannot be read (ValidationError)"],
    ),
    "settled without a time": (
        "HDEL sn:{{p0}}:delivery:{dlv_delivered} settled_at",
        ["sn:{{p0}}:delivery:{dlv_delivered}: is delivered and has no time of its end"],
    ),
    # Endpoints and partitions
    "work without a wakeup": (
        "ZREM sn:{{p{partition}}}:ready {plain}",
        ["sn:{{p{partition}}}:ready: {plain} has work and is not in it"],
    ),
    "another rate": (
        "HSET sn:{{p0}}:state:{plain} interval_ms 50",
        ["sn:{{p0}}:state:{plain}: interval_ms is 50, and by the endpoint's record 0"],
    ),
    "filed in another partition": (
        "ZADD sn:{{p{other_partition}}}:ready 1 {plain}",
        ["sn:{{p{other_partition}}}:ready: {plain} belongs in partition {partition}"],
    ),
    "filed too late": (
        "ZADD sn:{{p{partition}}}:ready 9000000000000 {plain}",
        ["sn:{{p{partition}}}:ready: {plain} is filed later than it has work"],
    ),
    "filed and not there": (
        "ZADD sn:{{p0}}:ready 1 ep_gone",
        ["sn:{{p0}}:ready: there is no endpoint ep_gone"],
    ),
    "a partition too many": (
        "ZADD sn:{{p7}}:ready 1 {plain}",
        ["sn:{{p7}}:ready: is a partition that nobody serves"],
    ),
    "no number of partitions": (
        "DEL sn:{{d}}:partitions",
        ["sn:{{d}}:partitions: is missing: nobody knows where endpoints are filed"],
    ),
    "an endpoint that is not listed": (
        "ZREM sn:{{d}}:endpoints {plain}",
        ["sn:{{d}}:endpoints: {plain} is not in it: nothing will be owed to it"],
    ),
    "a listed endpoint that is not there": (
        "ZADD sn:{{d}}:endpoints 1 ep_gone",
        ["sn:{{d}}:endpoints: there is no endpoint ep_gone"],
    ),
    "no generation": (
        "DEL sn:{{d}}:endpoints:generation",
        ["sn:{{d}}:endpoints:generation: is missing: workers will not see that endpoints change"],
    ),
    "an endpoint that cannot be read": (
        "SET sn:{{d}}:endpoint:{late} {{}}",
        ["sn:{{d}}:endpoint:{late}: cannot be read"],
    ),
    "limits that are not the endpoint's": (
        "HSET sn:{{p1}}:state:{late} max_concurrency 7",
        ["sn:{{p1}}:state:{late}: max_concurrency is 7, and by the endpoint's record 2"],
    ),
    "held back for nothing": (
        "HSET sn:{{p0}}:state:{plain} paused 1",
        ["sn:{{p0}}:state:{plain}: paused is 1, and by the endpoint's record 0"],
    ),
    "a challenge that nobody asked for": (
        "ZADD sn:{{d}}:challenges 1 {plain}",
        ["sn:{{d}}:challenges: {plain} is in it, and is not to be challenged"],
    ),
    "the queue of an endpoint that is gone": (
        "ZADD sn:{{p0}}:due:ep_gone 1 {due}",
        ["sn:{{p0}}:due:ep_gone: there is no endpoint ep_gone"],
    ),
    "a lease that never ends": (
        "ZADD sn:{{p0}}:leased:{plain} 9000000000000 {leased}",
        ["sn:{{p0}}:leased:{plain}: a lease ends in more than an hour: nobody works on it"],
    ),
    # The log
    "an event that is lost": (
        "DEL sn:{{d}}:event:{waiting}",
        [
            "sn:{{d}}:event:{waiting}: is gone, although older events are still kept",
            "sn:{{d}}:outbox: {waiting} is to be dispatched, and is not kept",
        ],
    ),
    "the outbox under another serial": (
        "ZADD sn:{{d}}:outbox 1 {waiting}",
        ["sn:{{d}}:outbox: {waiting} is filed under another serial than its own"],
    ),
    "an event that is not in the log's order": (
        "ZREM sn:{{d}}:events {waiting}",
        ["sn:{{d}}:event:{waiting}: is not in sn:{{d}}:events under its serial"],
    ),
    "an event that is not under its type": (
        "ZREM sn:{{d}}:events:type:webhook.test {waiting}",
        ["sn:{{d}}:event:{waiting}: is not in sn:{{d}}:events:type:webhook.test under its serial"],
    ),
    "the last event of a Space": (
        "ZREM sn:{{d}}:space:LIVE:events {live_last}",
        [
            "sn:{{d}}:event:{live_last}: is not in sn:{{d}}:space:LIVE:events under its sequence",
            "sn:{{d}}:space:LIVE:events: ends with sequence 2, and the Space is at 3",
        ],
    ),
    "a gap": (
        "ZADD sn:{{d}}:space:LIVE:events 9 {live_last}",
        [
            "sn:{{d}}:event:{live_last}: is not in sn:{{d}}:space:LIVE:events under its sequence",
            "sn:{{d}}:space:LIVE:events: ends with sequence 9, and the Space is at 3",
            "sn:{{d}}:space:LIVE:events: the sequences have a gap or a double: 9 follows on 2",
        ],
    ),
    "a body that is none": (
        "HSET sn:{{d}}:event:{waiting} body nonsense",
        ["sn:{{d}}:event:{waiting}: cannot be read (JSONDecodeError)"],
    ),
    "a serial that was handed out": (
        "SET sn:{{d}}:serial 3",
        ["sn:{{d}}:serial: is lower than what was handed out: two records will have one place"],
    ),
    # Spaces
    "a Space that cannot be read": (
        "HSET sn:{{d}}:space:PLANNED doc {{}}",
        ["sn:{{d}}:space:PLANNED: cannot be read (KeyError)"],
    ),
    "another phase": (
        "HSET sn:{{d}}:space:PLANNED phase live",
        ["sn:{{d}}:space:PLANNED: its phase is live, and by its document scheduled"],
    ),
    "no version": (
        "HDEL sn:{{d}}:space:PLANNED version",
        ["sn:{{d}}:space:PLANNED: its version is no number from 1 on"],
    ),
    "two phases": (
        "ZADD sn:{{d}}:spaces:ended 1 PLANNED",
        ["sn:{{d}}:space:PLANNED: is indexed as scheduled and ended, and is scheduled"],
    ),
    "not among the Spaces": (
        "ZREM sn:{{d}}:spaces PLANNED",
        ["sn:{{d}}:space:PLANNED: is not in sn:{{d}}:spaces"],
    ),
    "a Space that nobody polls": (
        "ZREM sn:{{d}}:polls:lookup:patient PLANNED",
        ["sn:{{d}}:space:PLANNED: is followed, and no poll is scheduled for it"],
    ),
    "a Space with two polls": (
        "ZADD sn:{{d}}:polls:lookup:leased 1 PLANNED",
        ["sn:{{d}}:space:PLANNED: its poll is patient and leased at once"],
    ),
    "a poll nothing": (
        "ZADD sn:{{d}}:polls:lookup:patient 1 NOSUCH",
        ["sn:{{d}}:polls:lookup:patient: NOSUCH is polled, and is neither known nor watched"],
    ),
    "no reminder": (
        "ZREM sn:{{d}}:timers:reminder PLANNED",
        ["sn:{{d}}:timers:reminder: PLANNED is not in it"],
    ),
    "a late reminder": (
        "ZADD sn:{{d}}:timers:reminder 9000000000000 PLANNED",
        ["sn:{{d}}:timers:reminder: PLANNED fires too late"],
    ),
    "a reminder of nothing": (
        "ZADD sn:{{d}}:timers:reminder 1 LIVE",
        ["sn:{{d}}:timers:reminder: LIVE has nothing to be reminded of"],
    ),
    "a watch that does not exist": (
        "SADD sn:{{d}}:space:PLANNED:watches wch_gone",
        ["sn:{{d}}:space:PLANNED:watches: there is no watch wch_gone"],
    ),
    "a watch that does not list its Space": (
        "ZREM sn:{{d}}:watch:{creator_watch}:spaces PLANNED",
        ["sn:{{d}}:watch:{creator_watch}:spaces: PLANNED is not in it, though it matches"],
    ),
    # Watches
    "a watch that cannot be read": (
        "SET sn:{{d}}:watch:wch_creator_somebody {{}}",
        [
            "sn:{{d}}:polls:users:urgent: wch_creator_somebody is polled for no watch",
            "sn:{{d}}:watch:wch_creator_somebody: cannot be read, or holds another watch",
        ],
    ),
    "a watch that is not listed": (
        "ZREM sn:{{d}}:watches {creator_watch}",
        ["sn:{{d}}:watches: {creator_watch} is not in it"],
    ),
    "a listed watch that is not there": (
        "ZADD sn:{{d}}:watches 1 wch_gone",
        ["sn:{{d}}:watches: there is no watch wch_gone"],
    ),
    "an identity of nobody": (
        "HSET sn:{{d}}:watch-by:creator 77 wch_gone",
        ["sn:{{d}}:watch-by:creator: there is no watch wch_gone"],
    ),
    "a watch that nobody polls for": (
        "ZREM sn:{{d}}:polls:creators:patient 1",
        ["sn:{{d}}:watch:{creator_watch}: has 0 polls and must have one"],
    ),
    "a watch with two polls": (
        "ZADD sn:{{d}}:polls:creators:urgent 1 1",
        ["sn:{{d}}:watch:{creator_watch}: has 2 polls and must have one"],
    ),
    "a poll for no watch": (
        "ZADD sn:{{d}}:polls:creators:urgent 1 99",
        ["sn:{{d}}:polls:creators:urgent: 99 is polled for no watch"],
    ),
    # Keys
    "a key that must expire": (
        "PERSIST sn:{{d}}:event:{waiting}",
        ["sn:{{d}}:event:{waiting}: never expires, and must"],
    ),
    "a key that must stay": (
        "EXPIRE sn:{{d}}:watch:{creator_watch} 100",
        ["sn:{{d}}:watch:{creator_watch}: expires, and must stay until it is deleted"],
    ),
    "a stranger": ("SET sn:something 1", ["sn:something: no key of ours has this form"]),
    "another type": (
        "SET sn:{{d}}:cycle:missing 1",
        ["sn:{{d}}:cycle:missing: is a string and must be a zset"],
    ),
    "a job's key that stays": ("SET arq:job:1 {{}}", ["arq:job:1: never expires, as a job's keys must"]),
    # Recoveries and jobs
    "a recovery that nobody goes on with": (
        "ZREM sn:{{d}}:recovering rec_runs",
        ["sn:{{d}}:recovering: rec_runs runs and is not in it"],
    ),
    "a recovery that is done and goes on": (
        "ZADD sn:{{d}}:recovering 1 rec_done",
        ["sn:{{d}}:recovering: rec_done is done and still in it"],
    ),
    "a recovery that is not there": (
        "ZADD sn:{{d}}:recovering 1 rec_gone",
        ["sn:{{d}}:recovering: there is no recovery rec_gone"],
    ),
    "a recovery that cannot be read": (
        "HDEL sn:{{d}}:recovery:rec_done position",
        ["sn:{{d}}:recovery:rec_done: cannot be read (KeyError)"],
    ),
    "a recovery that queued what it never saw": (
        "HSET sn:{{d}}:recovery:rec_done queued 99",
        ["sn:{{d}}:recovery:rec_done: has queued more than it has considered"],
    ),
    "a recovery that ended too early": (
        "HSET sn:{{d}}:recovery:rec_done position 1",
        ["sn:{{d}}:recovery:rec_done: is done at 1, before its last event {last_of_done}"],
    ),
    "a wakeup for no job": ("ZADD sn:{{d}}:wakeups 1 deliver", ["sn:{{d}}:wakeups: deliver is no job"]),
    "a job that is none": (
        "SET arq:job:{job} nonsense EX 60",
        ["arq:job:{job}: is no job that a worker can read"],
    ),
    "a job in a far future": (
        "ZADD sn:{{d}}:jobs 9000000000000 {job}",
        ["sn:{{d}}:jobs: {job} is set for more than a day ahead"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_broken_is_found(runtime: Runtime, names: dict[str, str], what: str) -> None:
    redis = runtime.store.database.redis
    names = {**names, "last_of_done": await redis.hget(schema.RECOVERY("rec_done"), "last")}
    command, expected = BROKEN[what]
    await redis.execute_command(*[part.format(**names) for part in command.split(" ")])
    assert await found(runtime) == sorted(text.format(**names) for text in expected)


async def change_body(runtime: Runtime, event: str, **data: Any) -> None:
    redis = runtime.store.database.redis
    payload = json.loads(await redis.hget(schema.EVENT(event), "body"))
    payload["data"] |= data
    await redis.hset(schema.EVENT(event), "body", json.dumps(payload))


PUT_RIGHT_BY_A_CHANGE: Final = (
    "work without a wakeup",
    "filed too late",
    "no generation",
    "another rate",
)


@pytest.mark.parametrize("what", PUT_RIGHT_BY_A_CHANGE)
async def test_a_change_repairs_what_it_is_said_to_repair(
    runtime: Runtime, names: dict[str, str], what: str
) -> None:
    endpoints, command = runtime.store.endpoints, BROKEN[what][0]
    healthy = await contents(runtime.store.database.redis)
    await runtime.store.database.redis.execute_command(*command.format(**names).split(" "))
    (finding,) = await findings(runtime.store)
    assert "any change" in finding.remedy
    endpoint = await endpoints.get(names["plain"])
    await endpoints.save(replace(endpoint, description="changed"), replacing=endpoint)
    assert await found(runtime) == []
    changed = differences(healthy, await contents(runtime.store.database.redis))
    state = runtime.store.partitions.key(schema.STATE, endpoint.id)
    assert changed.keys() == {
        *(schema.ENDPOINT(endpoint.id), schema.SERIAL(), state),
        *(schema.ENDPOINTS_GENERATION(), schema.PARTITION_GENERATION(0)),
    }
    assert changed[state].keys() == {StateField.CHANGE}
    assert await endpoints.get(endpoint.id) == replace(endpoint, description="changed")


async def test_a_redelivery_repairs_a_delivery_that_would_never_be_sent(
    runtime: Runtime, names: dict[str, str]
) -> None:
    redis, deliveries = runtime.store.database.redis, runtime.store.deliveries
    healthy = await contents(redis)
    await redis.zrem(runtime.store.partitions.key(schema.DUE, names["plain"]), names["due"])
    (finding,) = await findings(runtime.store)
    assert finding.remedy == f"space-notifier deliveries redeliver {names['dlv_due']}"
    await deliveries.redeliver(names["dlv_due"])
    assert await found(runtime) == []
    due = runtime.store.partitions.key(schema.DUE, names["plain"])
    record = schema.DELIVERY(0, names["dlv_due"])
    changed = differences(healthy, await contents(redis))
    assert changed.keys() == {due, record}
    assert changed[record] == {"status": DeliveryStatus.PENDING, "manual": "1", "base": "0"}
    was, is_now = dict(healthy[due].value), dict(changed[due])
    assert is_now.pop(names["due"]) > was.pop(names["due"]), "it is due again from now on"
    assert is_now == was


async def test_a_secret_that_cannot_be_opened(runtime: Runtime, names: dict[str, str]) -> None:
    endpoint = await runtime.store.endpoints.get(names["plain"])
    sealed = SealedSecret(SecretBox({"old": b"o" * 32}).seal(SECRET))
    await runtime.store.endpoints.save(replace(endpoint, secrets=(sealed,)), replacing=endpoint)
    assert await findings(runtime.store, SecretBox({"old": b"o" * 32})) == []
    for keys_at_hand, problem in (
        ({"new": b"n" * 32}, "the key 'old' is missing, and secrets need it"),
        ({"old": b"x" * 32}, "the key 'old' is not the one that secrets were sealed under"),
    ):
        (finding,) = await findings(runtime.store, SecretBox(keys_at_hand))
        assert str(finding) == (
            f"sn:{{d}}:endpoint:{endpoint.id}: nothing is delivered to it, for a secret cannot be opened. "
            f"NOTIFIER_MASTER_KEYS: {problem}"
        )
        assert finding.remedy.endswith(f"space-notifier endpoints rotate-secret {endpoint.id}")
    target = SealedTarget(sealed.sealed, {}, 0.0)
    before = await runtime.store.endpoints.get(endpoint.id)
    await runtime.store.endpoints.save(replace(before, secrets=(), target=target), replacing=before)
    (finding,) = await findings(runtime.store, SecretBox({"new": b"n" * 32}))
    assert finding.remedy.endswith(f"give {endpoint.id} its target again, PATCH /v1/endpoints/{endpoint.id}")


async def test_an_event_whose_id_does_not_match_its_content(runtime: Runtime, names: dict[str, str]) -> None:
    event = names["live_last"]
    redis = runtime.store.database.redis
    payload = json.loads(await redis.hget(schema.EVENT(event), "body"))
    await change_body(runtime, event, space=payload["data"]["space"] | {"title": "Forged"})
    (text,) = await found(runtime)
    assert text.startswith(f"sn:{{d}}:event:{event}: its content makes the id evt_")


async def test_a_body_of_another_event(runtime: Runtime, names: dict[str, str]) -> None:
    event = names["waiting"]
    await change_body(runtime, event, id="evt_other")
    assert await found(runtime) == [f"sn:{{d}}:event:{event}: its body is that of another event"]


async def test_a_body_of_another_sequence(runtime: Runtime, names: dict[str, str]) -> None:
    event = names["live_last"]
    await change_body(runtime, event, sequence=8, truncated=True)
    assert await found(runtime) == [
        f"sn:{{d}}:event:{event}: its body names another Space or sequence than its record"
    ]


async def test_content_that_should_have_been_erased(runtime: Runtime) -> None:
    redis = runtime.store.database.redis
    (event, *_) = await redis.zrange(schema.SPACE_EVENTS("GONE"), 0, 0)
    assert json.loads(await redis.hget(schema.SPACE("GONE"), "doc"))["erased"]
    await change_body(runtime, event, space={"id": "GONE", "title": "Short"})
    assert await found(runtime) == [f"sn:{{d}}:event:{event}: is about GONE, which was erased"]
    await change_body(runtime, event, space={"id": "GONE"})
    document = json.loads(await redis.hget(schema.SPACE("GONE"), "doc"))
    document["space"]["title"] = "Short"
    await redis.hset(schema.SPACE("GONE"), "doc", json.dumps(document))
    assert await found(runtime) == ["sn:{d}:space:GONE: was erased and still has content"]


async def test_an_answer_that_may_repeat_what_was_erased(runtime: Runtime, names: dict[str, str]) -> None:
    redis = runtime.store.database.redis
    (event, *_) = await redis.zrange(schema.SPACE_EVENTS("GONE"), 0, 0)
    record = schema.DELIVERY(0, names["dlv_delivered"].replace(names["delivered"][4:], event[4:]))
    attempt = json.loads(await redis.hget(schema.DELIVERY(0, names["dlv_delivered"]), "att_1"))
    await redis.hset(record, "att_1", json.dumps(attempt | {"body": "You said: Short"}))
    if not await redis.hexists(record, "status"):
        await redis.hset(record, mapping={"status": "pending", "attempts": 1})
    await redis.expire(record, 1000)
    assert f"{record}: keeps what was answered to an event that was erased" in await found(runtime)


async def test_an_index_of_recoveries_that_ended_twice(runtime: Runtime) -> None:
    redis = runtime.store.database.redis
    await redis.hset(schema.RECOVERY("rec_done"), "finished_at", "")
    assert await found(runtime) == [
        f"sn:{{d}}:recovery:rec_done: is {RecoveryStatus.DONE}, which its end contradicts"
    ]


async def test_a_poll_whose_lease_never_ends(runtime: Runtime) -> None:
    redis = runtime.store.database.redis
    await redis.zrem(schema.POLLS("lookup", "patient"), "PLANNED")
    await redis.zadd(schema.POLLS("lookup", "leased"), {"PLANNED": 9_000_000_000_000})
    assert await found(runtime) == [
        "sn:{d}:polls:lookup:leased: a lease ends in more than an hour: nobody works on it"
    ]


async def test_busy_workers_cause_no_false_alarm(redis_url: str) -> None:
    settings = quick_settings(redis_url, delivery_partitions=2, retry_schedule_seconds=(0.02,) * 3)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        receiver.answer("/bad", statuses=[500])
        await add_endpoint(runtime, receiver, "/good", event_types=("*",))
        await add_endpoint(runtime, receiver, "/bad", event_types=("*",))

        async def commit() -> None:
            for number in range(400):
                await runtime.store.events.commit(numbered_event(number))
                if number % 20 == 0:
                    await runtime.wakeup.ring(Job.DISPATCH)
                    await add(runtime.store, f"new{number}", event_types=("*",))

        async with running_worker(settings), running_worker(settings):
            committing = asyncio.create_task(commit())
            while not committing.done():
                assert await findings(runtime.store) == []
            await committing
        assert await findings(runtime.store) == []
