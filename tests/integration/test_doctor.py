"""Each thing that must not be so is brought about by hand, and that, and nothing else, is found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from notifier.core.delivery.endpoint import SealedSecret, SealedTarget
from notifier.core.delivery.recovery import RecoveryStatus
from notifier.runtime import Runtime, open_runtime
from notifier.store import SecretBox, doctor, keys
from notifier.store.doctor import findings
from notifier.store.doctor.keyspace import FORMS, form_of
from tests.support.healthy import PARTITIONS, put_back
from tests.support.pipeline import SECRET, add_endpoint, numbered_event, quick_settings
from tests.support.queue import add
from tests.support.receiver import Receiver
from tests.support.worker import running_worker


@pytest.fixture
async def names(redis_url: str) -> AsyncIterator[dict[str, str]]:
    async with Redis.from_url(redis_url) as raw:
        yield (await put_back(redis_url, raw)).names
        await raw.flushall()  # What a test has broken must not look like a leak.


@pytest.fixture
async def runtime(
    redis_url: str, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Runtime]:
    assert names
    monkeypatch.setattr(doctor, "POLL_AGAIN_SECONDS", 0.0)  # Nothing moves here.
    async with open_runtime(quick_settings(redis_url, delivery_partitions=PARTITIONS)) as opened:
        yield opened


async def found(runtime: Runtime) -> list[str]:
    return [str(finding) for finding in await findings(runtime.store)]


async def test_nothing_is_found_where_all_is_well(runtime: Runtime) -> None:
    before = {key: await runtime.store.database.redis.dump(key) async for key in keys_of(runtime)}
    assert await found(runtime) == []
    after = {key: await runtime.store.database.redis.dump(key) async for key in keys_of(runtime)}
    assert after.keys() == before.keys()


def keys_of(runtime: Runtime) -> AsyncIterator[str]:
    return runtime.store.database.redis.scan_iter()  # type: ignore[no-any-return]  # redis-py's own annotation


BROKEN: Final = {
    # Law 5
    "owed and nowhere": (
        "ZREM sn:due:{plain} {due}",
        ["sn:delivery:{dlv_due}: is owed and in no queue: it will never be sent"],
    ),
    "due and settled": (
        "ZADD sn:due:{plain} 1 {delivered}",
        ["sn:delivery:{dlv_delivered}: is due and settled at once"],
    ),
    "due and leased": (
        "ZADD sn:due:{plain} 1 {leased}",
        ["sn:delivery:{dlv_leased}: is due and leased at once"],
    ),
    "leased and settled": (
        "ZADD sn:leased:{plain} 9000000 {exhausted}",
        [
            "sn:delivery:{dlv_exhausted}: is leased and settled at once",
            "sn:ready:{partition}: {plain} is filed later than it has work",
        ],
    ),
    "due and never owed": (
        "SREM sn:owed:{due} {plain}",
        ["sn:owed:{due}: {plain} is not in it, but sn:delivery:{dlv_due} is due"],
    ),
    "owed and not listed": (
        "ZREM sn:owes:{plain} {due}",
        ["sn:owes:{plain}: {due} is owed and not listed under its serial"],
    ),
    "listed under another serial": (
        "ZADD sn:owes:{plain} 1 {delivered}",
        ["sn:owes:{plain}: {delivered} is owed and not listed under its serial"],
    ),
    # Lines
    "the second of a line is due": (
        "ZADD sn:due:{ordered} 1 {second}",
        ["sn:delivery:{dlv_second}: is due although an earlier event of its Space is not done"],
    ),
    "the first of a line is nowhere": (
        "ZREM sn:leased:{ordered} {first}",
        [
            "sn:delivery:{dlv_first}: is owed and in no queue: it will never be sent",
            "sn:ready:{ordered_partition}: {ordered} is filed later than it has work",
        ],
    ),
    "in a line and not in the index": (
        "HDEL sn:lines:{ordered} {second}",
        ["sn:lines:{ordered}: {second} is only in its line"],
    ),
    "in the index and in no line": (
        "ZREM sn:line:{ordered}:LIVE {second}",
        [
            "sn:delivery:{dlv_second}: is owed and in no queue: it will never be sent",
            "sn:lines:{ordered}: {second} is only here",
        ],
    ),
    "lines are miscounted": (
        "HINCRBY sn:run:{ordered} lines 1",
        ["sn:run:{ordered}: counts another number of lines than there are"],
    ),
    # Delivery records
    "a status that there is not": (
        "HSET sn:delivery:{dlv_delivered} status lost",
        ["sn:delivery:{dlv_delivered}: cannot be read (ValueError)"],
    ),
    "an attempt that is none": (
        "HSET sn:delivery:{dlv_delivered} att_2 {{}}",
        ["sn:delivery:{dlv_delivered}: cannot be read (ValidationError)"],
    ),
    "settled without a time": (
        "HDEL sn:delivery:{dlv_delivered} settled_at",
        ["sn:delivery:{dlv_delivered}: is delivered and has no time of its end"],
    ),
    # Endpoints and partitions
    "work that nobody is told of": (
        "ZREM sn:ready:{partition} {plain}",
        ["sn:ready:{partition}: {plain} has work and is not in it"],
    ),
    "another rate": (
        "HSET sn:run:{plain} interval_ms 50",
        ["sn:run:{plain}: interval_ms is 50, and by the endpoint's record 0"],
    ),
    "filed in another partition": (
        "ZADD sn:ready:{other_partition} 1 {plain}",
        ["sn:ready:{other_partition}: {plain} belongs into partition {partition}"],
    ),
    "filed too late": (
        "ZADD sn:ready:{partition} 9000000000000 {plain}",
        ["sn:ready:{partition}: {plain} is filed later than it has work"],
    ),
    "filed and not there": (
        "ZADD sn:ready:0 1 ep_gone",
        ["sn:ready:0: there is no endpoint ep_gone"],
    ),
    "a partition too many": (
        "ZADD sn:ready:7 1 {plain}",
        ["sn:ready:7: is a partition that nobody serves"],
    ),
    "no number of partitions": (
        "DEL sn:partitions",
        ["sn:partitions: is missing: nobody knows where endpoints are filed"],
    ),
    "an endpoint that is not listed": (
        "ZREM sn:endpoints {plain}",
        ["sn:endpoints: {plain} is not in it: nothing will be owed to it"],
    ),
    "a listed endpoint that is not there": (
        "ZADD sn:endpoints 1 ep_gone",
        ["sn:endpoints: there is no endpoint ep_gone"],
    ),
    "no generation": (
        "DEL sn:endpoints:generation",
        ["sn:endpoints:generation: is missing: workers will not see that endpoints change"],
    ),
    "an endpoint that cannot be read": (
        "SET sn:endpoint:{late} {{}}",
        ["sn:endpoint:{late}: cannot be read"],
    ),
    "limits that are not the endpoint's": (
        "HSET sn:run:{late} max_concurrency 7",
        ["sn:run:{late}: max_concurrency is 7, and by the endpoint's record 2"],
    ),
    "held back for nothing": (
        "HSET sn:run:{plain} paused 1",
        ["sn:run:{plain}: paused is 1, and by the endpoint's record 0"],
    ),
    "a challenge that nobody asked for": (
        "ZADD sn:challenges 1 {plain}",
        ["sn:challenges: {plain} is in it, and is not to be challenged"],
    ),
    "the queue of an endpoint that is gone": (
        "ZADD sn:due:ep_gone 1 {due}",
        ["sn:due:ep_gone: there is no endpoint ep_gone"],
    ),
    "a lease that never ends": (
        "ZADD sn:leased:{plain} 9000000000000 {leased}",
        ["sn:leased:{plain}: a lease ends in more than an hour: nobody works on it"],
    ),
    # The log
    "an event that is lost": (
        "DEL sn:event:{waiting}",
        [
            "sn:event:{waiting}: is gone, although older events are still kept",
            "sn:outbox: {waiting} is to be dispatched, and is not kept",
        ],
    ),
    "the outbox under another serial": (
        "ZADD sn:outbox 1 {waiting}",
        ["sn:outbox: {waiting} stands under another serial than its own"],
    ),
    "an event that is not in the log's order": (
        "ZREM sn:events {waiting}",
        ["sn:event:{waiting}: is not in sn:events under its serial"],
    ),
    "an event that is not under its type": (
        "ZREM sn:events:type:webhook.test {waiting}",
        ["sn:event:{waiting}: is not in sn:events:type:webhook.test under its serial"],
    ),
    "the last event of a Space": (
        "ZREM sn:space:LIVE:events {live_last}",
        [
            "sn:event:{live_last}: is not in sn:space:LIVE:events under its sequence",
            "sn:space:LIVE:events: ends with sequence 2, and the Space is at 3",
        ],
    ),
    "a gap": (
        "ZADD sn:space:LIVE:events 9 {live_last}",
        [
            "sn:event:{live_last}: is not in sn:space:LIVE:events under its sequence",
            "sn:space:LIVE:events: ends with sequence 9, and the Space is at 3",
            "sn:space:LIVE:events: the sequences have a gap or a double: 9 follows on 2",
        ],
    ),
    "a body that is none": (
        "HSET sn:event:{waiting} body nonsense",
        ["sn:event:{waiting}: cannot be read (JSONDecodeError)"],
    ),
    "a serial that was handed out": (
        "SET sn:serial 3",
        ["sn:serial: is lower than what was handed out: two records will have one place"],
    ),
    # Spaces
    "a Space that cannot be read": (
        "HSET sn:space:PLANNED doc {{}}",
        ["sn:space:PLANNED: cannot be read (KeyError)"],
    ),
    "another phase": (
        "HSET sn:space:PLANNED phase live",
        ["sn:space:PLANNED: its phase is live, and by its document scheduled"],
    ),
    "no version": (
        "HDEL sn:space:PLANNED version",
        ["sn:space:PLANNED: its version is no number from 1 on"],
    ),
    "two phases": (
        "ZADD sn:spaces:ended 1 PLANNED",
        ["sn:space:PLANNED: is indexed as scheduled and ended, and is scheduled"],
    ),
    "not among the Spaces": ("ZREM sn:spaces PLANNED", ["sn:space:PLANNED: is not in sn:spaces"]),
    "a Space that nobody polls": (
        "ZREM sn:looks:lookup:patient PLANNED",
        ["sn:space:PLANNED: is followed, and no poll is scheduled for it"],
    ),
    "a Space with two polls": (
        "ZADD sn:looks:lookup:leased 1 PLANNED",
        ["sn:space:PLANNED: its poll is patient and leased at once"],
    ),
    "a poll nothing": (
        "ZADD sn:looks:lookup:patient 1 NOSUCH",
        ["sn:looks:lookup:patient: NOSUCH is polled, and is neither known nor watched"],
    ),
    "no reminder": ("ZREM sn:timers:reminder PLANNED", ["sn:timers:reminder: PLANNED is not in it"]),
    "a late reminder": (
        "ZADD sn:timers:reminder 9000000000000 PLANNED",
        ["sn:timers:reminder: PLANNED rings too late"],
    ),
    "a reminder of nothing": (
        "ZADD sn:timers:reminder 1 LIVE",
        ["sn:timers:reminder: LIVE has nothing to be reminded of"],
    ),
    "a watch that does not exist": (
        "SADD sn:space:PLANNED:watches wch_gone",
        ["sn:space:PLANNED:watches: there is no watch wch_gone"],
    ),
    "a watch that does not list its Space": (
        "ZREM sn:watch:{creator_watch}:spaces PLANNED",
        ["sn:watch:{creator_watch}:spaces: PLANNED is not in it, though it matches"],
    ),
    # Watches
    "a watch that cannot be read": (
        "SET sn:watch:wch_creator_somebody {{}}",
        [
            "sn:looks:users:urgent: wch_creator_somebody is polled for no watch",
            "sn:watch:wch_creator_somebody: cannot be read, or holds another watch",
        ],
    ),
    "a watch that is not listed": (
        "ZREM sn:watches {creator_watch}",
        ["sn:watches: {creator_watch} is not in it"],
    ),
    "a listed watch that is not there": (
        "ZADD sn:watches 1 wch_gone",
        ["sn:watches: there is no watch wch_gone"],
    ),
    "an identity of nobody": (
        "HSET sn:watch-by:creator 77 wch_gone",
        ["sn:watch-by:creator: there is no watch wch_gone"],
    ),
    "a watch that nobody polls for": (
        "ZREM sn:looks:creators:patient 1",
        ["sn:watch:{creator_watch}: has 0 polls and must have one"],
    ),
    "a watch with two polls": (
        "ZADD sn:looks:creators:urgent 1 1",
        ["sn:watch:{creator_watch}: has 2 polls and must have one"],
    ),
    "a poll for no watch": (
        "ZADD sn:looks:creators:urgent 1 99",
        ["sn:looks:creators:urgent: 99 is polled for no watch"],
    ),
    # Keys
    "a key that must expire": ("PERSIST sn:event:{waiting}", ["sn:event:{waiting}: never expires, and must"]),
    "a key that must stay": (
        "EXPIRE sn:watch:{creator_watch} 100",
        ["sn:watch:{creator_watch}: expires, and must stay until it is deleted"],
    ),
    "a stranger": ("SET sn:something 1", ["sn:something: no key of ours has this form"]),
    "another type": ("SET sn:cycle:missing 1", ["sn:cycle:missing: is a string and must be a zset"]),
    "a job's key that stays": ("SET arq:job:1 {{}}", ["arq:job:1: never expires, as a job's keys must"]),
    # Recoveries and jobs
    "a recovery that nobody goes on with": (
        "ZREM sn:recovering rec_runs",
        ["sn:recovering: rec_runs runs and is not in it"],
    ),
    "a recovery that is done and goes on": (
        "ZADD sn:recovering 1 rec_done",
        ["sn:recovering: rec_done is done and still in it"],
    ),
    "a recovery that is not there": (
        "ZADD sn:recovering 1 rec_gone",
        ["sn:recovering: there is no recovery rec_gone"],
    ),
    "a recovery that cannot be read": (
        "HDEL sn:recovery:rec_done position",
        ["sn:recovery:rec_done: cannot be read (KeyError)"],
    ),
    "a recovery that queued what it never saw": (
        "HSET sn:recovery:rec_done queued 99",
        ["sn:recovery:rec_done: has queued more than it has considered"],
    ),
    "a recovery that ended too early": (
        "HSET sn:recovery:rec_done position 1",
        ["sn:recovery:rec_done: is done at 1, before its last event {last_of_done}"],
    ),
    "a job that is none": (
        "SET arq:job:{job} nonsense EX 60",
        ["arq:job:{job}: is no job that a worker can read"],
    ),
    "a job in a far future": (
        "ZADD sn:jobs 9000000000000 {job}",
        ["sn:jobs: {job} is set for more than a day ahead"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_broken_is_found(runtime: Runtime, names: dict[str, str], what: str) -> None:
    redis = runtime.store.database.redis
    names = {**names, "last_of_done": await redis.hget(keys.recovery("rec_done"), "last")}
    command, expected = BROKEN[what]
    await redis.execute_command(*[part.format(**names) for part in command.split(" ")])
    assert await found(runtime) == sorted(text.format(**names) for text in expected)


async def change_body(runtime: Runtime, event: str, **data: Any) -> None:
    redis = runtime.store.database.redis
    payload = json.loads(await redis.hget(keys.event(event), "body"))
    payload["data"] |= data
    await redis.hset(keys.event(event), "body", json.dumps(payload))


PUT_RIGHT_BY_A_CHANGE: Final = (
    "work that nobody is told of",
    "filed too late",
    "no generation",
    "another rate",
)


@pytest.mark.parametrize("what", PUT_RIGHT_BY_A_CHANGE)
async def test_what_a_change_puts_right_is_put_right_by_one(
    runtime: Runtime, names: dict[str, str], what: str
) -> None:
    endpoints, command = runtime.store.endpoints, BROKEN[what][0]
    await runtime.store.database.redis.execute_command(*command.format(**names).split(" "))
    (finding,) = await findings(runtime.store)
    assert "any change" in finding.remedy
    endpoint = await endpoints.get(names["plain"])
    await endpoints.save(replace(endpoint, description="changed"), replacing=endpoint)
    assert await found(runtime) == []


async def test_what_will_never_be_sent_is_put_right_by_sending_it_again(
    runtime: Runtime, names: dict[str, str]
) -> None:
    redis, deliveries = runtime.store.database.redis, runtime.store.deliveries
    await redis.zrem(keys.due(names["plain"]), names["due"])
    (finding,) = await findings(runtime.store)
    assert finding.remedy == f"space-notifier deliveries redeliver {names['dlv_due']}"
    await deliveries.redeliver(names["dlv_due"])
    assert await found(runtime) == []


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
            f"sn:endpoint:{endpoint.id}: nothing is delivered to it, for a secret cannot be opened. "
            f"NOTIFIER_MASTER_KEYS: {problem}"
        )
        assert finding.remedy.endswith(f"space-notifier endpoints rotate-secret {endpoint.id}")
    target = SealedTarget(sealed.sealed, {}, 0.0)
    before = await runtime.store.endpoints.get(endpoint.id)
    await runtime.store.endpoints.save(replace(before, secrets=(), target=target), replacing=before)
    (finding,) = await findings(runtime.store, SecretBox({"new": b"n" * 32}))
    assert finding.remedy.endswith(f"give {endpoint.id} its target again, PATCH /v1/endpoints/{endpoint.id}")


async def test_an_event_under_an_id_that_is_not_its_contents(runtime: Runtime, names: dict[str, str]) -> None:
    event = names["live_last"]
    redis = runtime.store.database.redis
    payload = json.loads(await redis.hget(keys.event(event), "body"))
    await change_body(runtime, event, space=payload["data"]["space"] | {"title": "Forged"})
    (text,) = await found(runtime)
    assert text.startswith(f"sn:event:{event}: its content makes the id evt_")


async def test_a_body_of_another_event(runtime: Runtime, names: dict[str, str]) -> None:
    event = names["waiting"]
    await change_body(runtime, event, id="evt_other")
    assert await found(runtime) == [f"sn:event:{event}: its body is that of another event"]


async def test_a_body_of_another_sequence(runtime: Runtime, names: dict[str, str]) -> None:
    event = names["live_last"]
    await change_body(runtime, event, sequence=8, truncated=True)
    assert await found(runtime) == [
        f"sn:event:{event}: its body names another Space or sequence than its record"
    ]


async def test_content_that_was_to_be_erased(runtime: Runtime) -> None:
    redis = runtime.store.database.redis
    (event, *_) = await redis.zrange(keys.space_events("GONE"), 0, 0)
    assert json.loads(await redis.hget(keys.space("GONE"), "doc"))["erased"]
    await change_body(runtime, event, space={"id": "GONE", "title": "Short"})
    assert await found(runtime) == [f"sn:event:{event}: is about GONE, which was erased"]
    await change_body(runtime, event, space={"id": "GONE"})
    document = json.loads(await redis.hget(keys.space("GONE"), "doc"))
    document["space"]["title"] = "Short"
    await redis.hset(keys.space("GONE"), "doc", json.dumps(document))
    assert await found(runtime) == ["sn:space:GONE: was erased and still has content"]


async def test_an_answer_that_may_repeat_what_was_erased(runtime: Runtime, names: dict[str, str]) -> None:
    redis = runtime.store.database.redis
    (event, *_) = await redis.zrange(keys.space_events("GONE"), 0, 0)
    record = keys.delivery(names["dlv_delivered"].replace(names["delivered"][4:], event[4:]))
    attempt = json.loads(await redis.hget(keys.delivery(names["dlv_delivered"]), "att_1"))
    await redis.hset(record, "att_1", json.dumps(attempt | {"body": "You said: Short"}))
    if not await redis.hexists(record, "status"):
        await redis.hset(record, mapping={"status": "pending", "attempts": 1})
    await redis.expire(record, 1000)
    assert f"{record}: keeps what was answered to an event that was erased" in await found(runtime)


async def test_an_index_of_recoveries_that_ended_twice(runtime: Runtime) -> None:
    redis = runtime.store.database.redis
    await redis.hset(keys.recovery("rec_done"), "finished_at", "")
    assert await found(runtime) == [
        f"sn:recovery:rec_done: is {RecoveryStatus.DONE}, which its end contradicts"
    ]


async def test_a_poll_whose_lease_never_ends(runtime: Runtime) -> None:
    redis = runtime.store.database.redis
    await redis.zrem(keys.polls("lookup", "patient"), "PLANNED")
    await redis.zadd(keys.polls("lookup", "leased"), {"PLANNED": 9_000_000_000_000})
    assert await found(runtime) == [
        "sn:looks:lookup:leased: a lease ends in more than an hour: nobody works on it"
    ]


async def test_busy_workers_raise_no_false_alarm(redis_url: str) -> None:
    settings = quick_settings(redis_url, delivery_partitions=2, retry_schedule_seconds=(0.02,) * 3)
    async with Receiver() as receiver, open_runtime(settings) as runtime:
        receiver.answer("/bad", statuses=[500])
        await add_endpoint(runtime, receiver, "/good", event_types=("*",))
        await add_endpoint(runtime, receiver, "/bad", event_types=("*",))

        async def commit() -> None:
            for number in range(400):
                await runtime.store.events.commit(numbered_event(number))
                if number % 20 == 0:
                    await runtime.wakeup.dispatch()
                    await add(runtime.store, f"new{number}", event_types=("*",))

        async with running_worker(settings), running_worker(settings):
            committing = asyncio.create_task(commit())
            while not committing.done():
                assert await findings(runtime.store) == []
            await committing
        assert await findings(runtime.store) == []


def test_every_form_of_a_key_is_known() -> None:
    constants = {
        value
        for name, value in vars(keys).items()
        if name.isupper() and isinstance(value, str) and value.startswith("sn:")
    }
    functions = {
        function(*["*"] * function.__code__.co_argcount)
        for function in vars(keys).values()
        if callable(function) and getattr(function, "__module__", "") == keys.__name__
    }
    made = {form for each in functions for form in ([each] if isinstance(each, str) else each)}
    assert {form for form in constants | made if form_of(form.replace("*", "1")) is None} == set()
    assert {form for form in keys.PERMANENT if form not in FORMS} == set()
