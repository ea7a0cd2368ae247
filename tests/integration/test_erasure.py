"""What X no longer has is erased from all records; ids, types and times stay."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
import redis
from aiohttp import web
from aiohttp.test_utils import TestServer

from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, SealedSecret
from notifier.core.delivery.outcome import Answer
from notifier.core.delivery.request import DeliveryRequest
from notifier.core.events.event import EventType
from notifier.core.model.ids import EndpointId, SpaceId
from notifier.core.model.observation import Call
from notifier.core.model.reasons import DisabledReason
from notifier.core.model.space import Phase
from notifier.core.model.watch import OnFirstSight, Watch, WatchKind
from notifier.core.spaces.next_poll import FORGOTTEN_SECONDS
from notifier.core.spaces.timers import ERASE_AFTER_SECONDS
from notifier.store import LoggedEvent, schema
from tests.support.api_runtime import Clock
from tests.support.offline_worker import (
    SPACE,
    apply_answer,
    apply_not_found,
    deliver_all,
    events_of,
    known,
    offline_worker,
    run_timers,
)
from tests.support.peers import peer, read_request
from tests.support.pipeline import SECRET, add_endpoint, add_watch
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from workers.context import Worker
from workers.dispatch import empty_outbox

pytestmark = pytest.mark.server

OTHER = SpaceId("1yNGaNLjEYbGj")
CREATOR = "2244994945"
SECRETS = ("Quarterly riddle", "Evening riddle", "Ada Hidden", "ada_hidden", "Bob Veiled", "bob_veiled")
PEOPLE = [
    {"id": CREATOR, "name": "Ada Hidden", "username": "ada_hidden"},
    {"id": "783214", "name": "Bob Veiled", "username": "bob_veiled"},
]
RETRY_SECONDS = 7200
STARTED = {"state": "live", "started_at": "2023-11-14T21:00:00.000Z", "speaker_ids": ["783214"]}
ENDED = {"state": "ended", "started_at": "2023-11-14T21:00:00.000Z", "ended_at": "2023-11-14T22:00:00.000Z"}


@pytest.fixture
def clock() -> Clock:
    """Long ago, so that signatures after the erasure use the real time."""
    return Clock(int(time.time()) - ERASE_AFTER_SECONDS - 60)


@pytest.fixture
async def worker(redis_url: str, clock: Clock) -> AsyncIterator[Worker]:
    async with offline_worker(redis_url, clock, retry_schedule_seconds=str(RETRY_SECONDS)) as started:
        yield started


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as started:
        yield started


def record(space_id: str = SPACE, **fields: Any) -> dict[str, Any]:
    return {
        "id": space_id,
        "state": "scheduled",
        "title": "Quarterly riddle",
        "lang": "tlh",
        "creator_id": CREATOR,
        "host_ids": [CREATOR],
        "scheduled_start": "2023-11-14T21:00:00.000Z",
        "created_at": "2023-11-14T20:00:00.000Z",
    } | fields


async def apply_full_answer(worker: Worker, **fields: Any) -> None:
    await apply_answer(worker, record(**fields), users=PEOPLE)


def everything(redis_url: str) -> Iterator[tuple[str, str]]:
    """Return every key with its complete content."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for key in client.scan_iter(count=1000):
            match client.type(key):
                case "string":
                    yield key, str(client.get(key))
                case "hash":
                    yield key, repr(client.hgetall(key))
                case "list":
                    yield key, repr(client.lrange(key, 0, -1))
                case "set":
                    yield key, repr(client.smembers(key))
                case "zset":
                    yield key, repr(client.zrange(key, 0, -1, withscores=True))
                case other:
                    pytest.fail(f"{key} is a {other}, which nobody reads")


def left(redis_url: str) -> list[str]:
    """Return the keys that still contain erased content."""
    return sorted(key for key, held in everything(redis_url) if any(secret in held for secret in SECRETS))


@asynccontextmanager
async def echoing(*statuses: int) -> AsyncIterator[str]:
    """Serve a receiver that echoes requests in its body and in a recorded header."""
    numbers = cycle(statuses)

    async def handle(request: web.Request) -> web.Response:
        text = await request.text()
        title = json.loads(text)["data"].get("space", {}).get("title", "")
        return web.Response(status=next(numbers), text=text, headers={"X-Request-Id": title})

    app = web.Application()
    app.router.add_post("/", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def echo_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the raw request instead of valid HTTP."""
    request = await read_request(reader)
    writer.write(request.rpartition(b"\r\n\r\n")[2] + b"\r\n\r\n")
    await writer.drain()


async def add_echo(worker: Worker, name: str, url: str, **changes: Any) -> Endpoint:
    endpoint = Endpoint(
        id=EndpointId("ep_" + name.rjust(16, "0")),
        url=url,
        event_types=("*",),
        secrets=(SealedSecret(worker.runtime.secrets.seal(SECRET)),),
        created_at=1.0,
        updated_at=1.0,
    )
    await worker.runtime.store.endpoints.create(replace(endpoint, **changes))
    return endpoint


async def enable(worker: Worker, endpoint: Endpoint, *, enabled: bool) -> None:
    before = await worker.runtime.store.endpoints.get(endpoint.id)
    status = EndpointStatus.ENABLED if enabled else EndpointStatus.DISABLED
    reason = None if enabled else DisabledReason.BY_HAND
    await worker.runtime.store.endpoints.save(
        replace(before, status=status, disabled_reason=reason), replacing=before
    )


async def come_to_an_end(worker: Worker, clock: Clock, ending: str) -> None:
    """Have the Space end at X in the given way, and then disappear."""
    if ending == "canceled":
        await apply_full_answer(worker, state="canceled")
        return
    if ending != "not found before its start":
        await apply_full_answer(worker, **STARTED)
    if ending == "ended":
        clock.now += 1
        await apply_full_answer(worker, **ENDED)
    # It has not ended while its creator's list shows it.
    await apply_answer(worker, call=Call.CREATORS, subjects=[CREATOR])
    await apply_not_found(worker, clock)


async def pass_on(worker: Worker, *, variant: Endpoint) -> None:
    """Deliver everything, except to one endpoint, which is disabled first."""
    await empty_outbox(worker)
    await enable(worker, variant, enabled=False)
    await deliver_all(worker)


async def redeliver_all(worker: Worker, *, variant: Endpoint) -> None:
    page = await worker.runtime.store.deliveries.page(limit=250, cursor=None)
    for delivery in page.items:
        if delivery.endpoint_id != variant.id:
            await worker.runtime.store.deliveries.redeliver(delivery.id)
    await deliver_all(worker)


@pytest.mark.parametrize(
    "ending", ["canceled", "not found before its start", "ended", "not found while live"]
)
async def test_every_copy_of_the_content_is_erased_and_ids_times_and_types_stay(
    redis_url: str, worker: Worker, clock: Clock, receiver: Receiver, ending: str
) -> None:
    pending = await add_endpoint(worker.runtime, receiver, "/pending", event_types=("*",))
    await add_endpoint(worker.runtime, receiver, "/redacted", event_types=("space.redacted",))
    await add_endpoint(worker.runtime, receiver, "/others", event_types=("space.title_changed",))
    async with echoing(200) as good, echoing(500) as bad, peer(echo_nonsense) as nonsense:
        for name, url in {"good": good, "bad": bad, "nonsense": nonsense}.items():
            await add_echo(worker, name, url)
        await add_watch(worker.runtime, WatchKind.SPACE, SPACE, on_first_sight=OnFirstSight.BASELINE)
        await apply_full_answer(worker)
        clock.now += 1
        await add_watch(worker.runtime, WatchKind.CREATOR, CREATOR, on_first_sight=OnFirstSight.BASELINE)
        await apply_answer(worker, record(), users=PEOPLE, call=Call.CREATORS, subjects=[CREATOR])
        await apply_full_answer(worker, title="Evening riddle", scheduled_start="2023-11-14T21:30:00.000Z")
        await come_to_an_end(worker, clock, ending)
        before = await events_of(worker)
        await pass_on(worker, variant=pending)
        await redeliver_all(worker, variant=pending)
        kinds = {key.split(":")[2] for key in left(redis_url)}
        assert kinds == {"space", "event", "delivery"}, "not everything is tried"

        clock.now += ERASE_AFTER_SECONDS - 5
        await run_timers(worker)
        assert {key.split(":")[2] for key in left(redis_url)} == kinds
        clock.now = time.time()
        await run_timers(worker)
        assert left(redis_url) == []

        await deliver_all(worker)
        await enable(worker, pending, enabled=True)
        await redeliver_all(worker, variant=pending)
        late = await receiver.wait_for("/pending", len(before))
        assert left(redis_url) == []
    after = {event.id: event for event in await events_of(worker)}
    for was in before:
        check_that_the_frame_is_left(was, after[was.id])
    assert {request.event_id for request in late} == {event.id for event in before}
    assert not any(secret in request.body.decode() for request in late for secret in SECRETS)
    announced, *again = receiver.received("/redacted")
    assert {request.event_id for request in again} == {announced.event_id}
    assert (announced.json["type"], announced.json["data"]["space"]) == ("space.redacted", {"id": SPACE})
    assert announced.json["data"]["sequence"] == 1 + max(event.sequence or 0 for event in before)
    assert {request.json["type"] for request in receiver.received("/others")} == {"space.title_changed"}
    assert all(request.verified for request in (*late, announced))
    kept = (await known(worker)).space
    assert (kept.title, kept.host_ids, kept.lang) == (None, None, None)
    assert (kept.creator_id, kept.created_at) == (CREATOR, "2023-11-14T20:00:00.000Z")


def check_that_the_frame_is_left(was: LoggedEvent, is_now: LoggedEvent) -> None:
    """Compare a redacted event with the original."""
    assert (is_now.type, is_now.sequence, is_now.serial, is_now.at) == (
        was.type,
        was.sequence,
        was.serial,
        was.at,
    )
    left, full = json.loads(is_now.body), json.loads(was.body)
    assert left["timestamp"] == full["timestamp"]
    assert left["data"]["observed_at"] == full["data"]["observed_at"]
    if was.space_id is None:
        assert left["data"]["details"]["spaces"] == [{"id": SPACE}]
    else:
        assert left["data"]["space"] == {"id": SPACE}
        assert left["data"]["changed"] == full["data"]["changed"]


async def follow(worker: Worker) -> Watch:
    """Follow the Space, with its first sighting already announced."""
    watch = await add_watch(worker.runtime, WatchKind.SPACE, SPACE)
    await apply_full_answer(worker)
    return watch


async def pause(worker: Worker, watch: Watch, *, paused: bool) -> None:
    store = worker.runtime.store
    before = await store.watches.get(watch.id)
    await store.watches.save(replace(before, paused=paused), replacing=before, now=worker.runtime.clock())


async def test_an_unfollowed_space_is_erased_without_an_event(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    watch = await follow(worker)
    await apply_full_answer(worker, **STARTED)
    await worker.runtime.store.watches.delete(watch.id, now=clock())
    clock.now += ERASE_AFTER_SECONDS - 1
    await run_timers(worker)
    assert left(redis_url) != []
    clock.now += 1
    await run_timers(worker)
    assert left(redis_url) == []
    assert await events_of(worker, EventType.REDACTED) == []


async def test_a_space_whose_watches_are_all_paused_is_erased(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    watch = await follow(worker)
    await pause(worker, watch, paused=True)
    await apply_full_answer(worker)
    clock.now += ERASE_AFTER_SECONDS
    await run_timers(worker)
    assert left(redis_url) == []
    assert await events_of(worker, EventType.REDACTED) == []


async def test_a_space_followed_again_in_time_is_not_erased(worker: Worker, clock: Clock) -> None:
    watch = await follow(worker)
    await apply_full_answer(worker, **STARTED)
    await worker.runtime.store.watches.delete(watch.id, now=clock())
    clock.now += 60
    await follow(worker)
    clock.now += ERASE_AFTER_SECONDS
    await run_timers(worker)
    assert (await known(worker)).space.title == "Quarterly riddle"


async def test_a_forgotten_space_is_erased_although_x_still_has_it(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    await follow(worker)
    await apply_full_answer(worker, **STARTED)
    await apply_full_answer(worker, **ENDED)
    clock.now += FORGOTTEN_SECONDS - 1
    await apply_full_answer(worker, **ENDED)
    await run_timers(worker)
    assert left(redis_url) != []
    clock.now += 1
    await run_timers(worker)
    assert left(redis_url) == []
    assert await events_of(worker, EventType.REDACTED) == []


async def test_a_space_first_seen_at_its_end_is_erased_too(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    await add_watch(worker.runtime, WatchKind.SPACE, SPACE)
    await apply_full_answer(worker, **ENDED)
    assert left(redis_url) == [schema.SPACE(SPACE)]
    clock.now += FORGOTTEN_SECONDS
    await run_timers(worker)
    assert left(redis_url) == []


@pytest.mark.parametrize("over", [{"state": "canceled"}, ENDED], ids=["canceled", "ended"])
@pytest.mark.parametrize("first_sight", OnFirstSight)
async def test_only_receivers_that_know_a_space_are_told_to_erase_it(
    redis_url: str, worker: Worker, clock: Clock, over: dict[str, Any], first_sight: OnFirstSight
) -> None:
    await add_watch(worker.runtime, WatchKind.SPACE, SPACE, on_first_sight=first_sight)
    await apply_full_answer(worker, **over)
    await apply_not_found(worker, clock)
    clock.now += ERASE_AFTER_SECONDS
    await run_timers(worker)
    assert left(redis_url) == []
    announced = [] if first_sight is OnFirstSight.ANNOUNCE else [EventType.WATCH_BASELINE, EventType.REDACTED]
    assert [event.type for event in await events_of(worker)] == announced


@pytest.mark.parametrize("state", [{}, STARTED])
async def test_nothing_is_erased_while_the_space_is_live_or_scheduled(
    worker: Worker, clock: Clock, state: dict[str, Any]
) -> None:
    await follow(worker)
    await apply_full_answer(worker, **state)
    clock.now += 5 * ERASE_AFTER_SECONDS
    await run_timers(worker)
    assert (await known(worker)).space.title == "Quarterly riddle"
    assert not (await known(worker)).erased


async def test_a_space_that_reappears_is_not_erased(worker: Worker, clock: Clock) -> None:
    await follow(worker)
    await apply_full_answer(worker, **STARTED)
    await apply_not_found(worker, clock)
    assert (await known(worker)).phase is Phase.ENDED
    for _ in range(2):
        clock.now += 1
        await apply_full_answer(worker, **STARTED)
    assert (await known(worker)).phase is Phase.LIVE
    clock.now += ERASE_AFTER_SECONDS
    await run_timers(worker)
    assert (await known(worker)).space.title == "Quarterly riddle"
    assert await events_of(worker, EventType.REDACTED) == []


async def test_an_ended_space_that_x_shows_again_is_kept_until_it_is_forgotten(
    worker: Worker, clock: Clock
) -> None:
    await follow(worker)
    await apply_full_answer(worker, **STARTED)
    await apply_full_answer(worker, **ENDED)
    await apply_not_found(worker, clock)
    clock.now += 60
    await apply_full_answer(worker, **ENDED)
    clock.now += ERASE_AFTER_SECONDS
    await run_timers(worker)
    assert (await known(worker)).space.title == "Quarterly riddle"


async def test_a_single_not_found_after_the_end_erases_nothing(worker: Worker, clock: Clock) -> None:
    await follow(worker)
    await apply_full_answer(worker, **STARTED)
    await apply_full_answer(worker, **ENDED)
    clock.now += 1
    await apply_answer(worker, missing=[SPACE])
    clock.now += ERASE_AFTER_SECONDS
    await run_timers(worker)
    assert (await known(worker)).space.title == "Quarterly riddle"


@pytest.mark.parametrize("ending", ["canceled", "ended", "not found while live"])
async def test_content_that_reappears_after_an_erasure_is_erased_again(
    redis_url: str, worker: Worker, clock: Clock, ending: str
) -> None:
    watch = await follow(worker)
    if ending != "canceled":
        await apply_full_answer(worker, **STARTED)
    await pause(worker, watch, paused=True)
    await apply_full_answer(worker)
    clock.now += ERASE_AFTER_SECONDS
    await run_timers(worker)
    assert left(redis_url) == []
    await pause(worker, watch, paused=False)
    await apply_full_answer(worker, **(STARTED if ending != "canceled" else {}))
    assert left(redis_url) != []
    clock.now += 1
    await come_to_an_end(worker, clock, ending)
    clock.now += ERASE_AFTER_SECONDS
    await run_timers(worker)
    assert left(redis_url) == []
    assert len(await events_of(worker, EventType.REDACTED)) == 1


async def test_other_spaces_of_a_baseline_keep_their_content(worker: Worker, clock: Clock) -> None:
    await add_watch(worker.runtime, WatchKind.CREATOR, CREATOR, on_first_sight=OnFirstSight.BASELINE)
    spaces = [record(), record(OTHER, title="Morning news")]
    await apply_answer(worker, *spaces, users=PEOPLE, call=Call.CREATORS, subjects=[CREATOR])
    clock.now += 1
    await apply_full_answer(worker, state="canceled")
    clock.now += ERASE_AFTER_SECONDS
    await run_timers(worker)
    (baseline,) = await events_of(worker, EventType.WATCH_BASELINE)
    listed = {space["id"]: space for space in json.loads(baseline.body)["data"]["details"]["spaces"]}
    assert listed[SPACE] == {"id": SPACE}
    assert listed[OTHER]["title"] == "Morning news"
    assert (await known(worker, OTHER)).space.title == "Morning news"


async def test_a_new_watch_does_not_bring_erased_content_back(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    watch = await follow(worker)
    await apply_full_answer(worker, **STARTED)
    await apply_full_answer(worker, **ENDED)
    clock.now += FORGOTTEN_SECONDS
    await run_timers(worker)
    await worker.runtime.store.watches.delete(watch.id, now=clock())
    await add_watch(worker.runtime, WatchKind.SPACE, SPACE, on_first_sight=OnFirstSight.BASELINE)
    clock.now += 1
    await apply_full_answer(worker, **ENDED)
    assert len(await events_of(worker, EventType.WATCH_BASELINE)) == 1
    assert left(redis_url) == []


async def test_two_workers_that_erase_at_once_announce_it_once(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    await follow(worker)
    await come_to_an_end(worker, clock, "ended")
    clock.now += ERASE_AFTER_SECONDS
    async with offline_worker(redis_url, clock) as other:
        await asyncio.gather(*(run_timers(each) for each in (worker, other) * 3))
    assert len(await events_of(worker, EventType.REDACTED)) == 1
    assert left(redis_url) == []


async def test_an_interrupted_erasure_is_completed_by_the_next_worker(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    await follow(worker)
    await come_to_an_end(worker, clock, "ended")
    clock.now += ERASE_AFTER_SECONDS
    await worker.runtime.store.redaction.redact(SPACE)
    assert left(redis_url) == [schema.SPACE(SPACE)]
    await run_timers(worker)
    assert left(redis_url) == []
    assert len(await events_of(worker, EventType.REDACTED)) == 1


async def test_an_answer_received_during_the_erasure_is_not_kept_either(
    redis_url: str, worker: Worker, clock: Clock
) -> None:
    store = worker.runtime.store
    async with echoing(200) as url:
        endpoint = await add_echo(worker, "slow", url)
        await follow(worker)
        await come_to_an_end(worker, clock, "canceled")
        clock.now += ERASE_AFTER_SECONDS
        release = asyncio.Event()
        post = worker.client.send

        async def held(request: DeliveryRequest) -> Answer:
            await release.wait()
            return await post(request)

        worker.client.send = held  # type: ignore[method-assign]  # only delays the attempt
        delivering = asyncio.create_task(deliver_all(worker))

        async def is_under_way() -> bool:
            return bool(await store.database.redis.zcard(store.partitions.key(schema.LEASED, endpoint.id)))

        await wait_until(is_under_way, message="the attempts are in flight")
        async with offline_worker(redis_url, clock) as other:
            await run_timers(other)
            release.set()
            await delivering
            assert left(redis_url) != []
            await run_timers(other)
    assert left(redis_url) == []
    assert len(await events_of(worker, EventType.REDACTED)) == 1
