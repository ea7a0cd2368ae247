from __future__ import annotations

import pytest

from notifier.core.delivery.endpoint import Filters
from notifier.core.model.observation import Call
from notifier.core.model.watch import OnFirstSight, WatchKind, WatchStatus
from notifier.runtime import open_runtime
from tests.support.pipeline import add_endpoint, add_watch, quick_settings, running_simulator
from tests.support.receiver import ReceivedRequest, Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker

pytestmark = pytest.mark.server

A_LIFE = """
users: [{id: "1", name: Host, username: host}]
spaces:
  - id: SPACE1
    creator_id: "1"
    timeline:
      - {at: 0s, set: {state: scheduled, title: First, scheduled_start: +3s, host_ids: ["1"]}}
      - {at: 1.2s, set: {scheduled_start: +2s}}
      - {at: 1.6s, set: {title: Second}}
      - {at: 2s, set: {state: live, started_at: +2s, speaker_ids: ["1", "2"]}}
      - {at: 2.4s, set: {state: ended, ended_at: +2.4s}}
"""

THREE_LIVE = """
users: [{id: "1", name: Host, username: host}]
spaces:
  - {id: A, creator_id: "1", timeline: [{at: 0s, set: {state: live, title: one, started_at: -60s}}]}
  - {id: a, creator_id: "1", timeline: [{at: 0s, set: {state: live, title: two, started_at: -60s}}]}
  - {id: B, creator_id: "1", timeline: [{at: 0s, set: {state: live, title: three, started_at: -60s}}]}
"""


def announced(requests: list[ReceivedRequest]) -> list[tuple[int, str]]:
    return sorted((each.json["data"]["sequence"], each.json["type"]) for each in requests)


async def test_a_complete_space_arrives_signed_with_each_change_once(redis_url: str) -> None:
    async with Receiver() as receiver, running_simulator(A_LIFE) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            await add_endpoint(runtime, receiver, "/hook")
            await add_watch(runtime, WatchKind.CREATOR, "1")
            got = await receiver.wait_for("/hook", 6)
            events = await runtime.store.events.of_space("SPACE1", limit=10, cursor=None)
    assert announced(got) == [
        (1, "space.scheduled"),
        (2, "space.rescheduled"),
        (3, "space.title_changed"),
        (4, "space.started"),
        (5, "space.speakers_added"),
        (6, "space.ended"),
    ]
    assert all(each.verified for each in got)
    assert {each.event_id: each.body for each in got} == {event.id: event.body for event in events.items}


async def test_a_new_watch_lists_existing_spaces_in_one_event(redis_url: str) -> None:
    async with Receiver() as receiver, running_simulator(THREE_LIVE) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
            await add_watch(runtime, WatchKind.CREATOR, "1", on_first_sight=OnFirstSight.BASELINE)
            (got,) = await receiver.wait_for("/hook", 1)
            spaces = await runtime.store.spaces.page(limit=10, cursor=None)
            log = await runtime.store.events.page(limit=10, cursor=None)
    assert got.json["type"] == "watch.baseline"
    assert {each["id"] for each in got.json["data"]["details"]["spaces"]} == {"A", "a", "B"}
    assert len(spaces.items) == 3
    assert len(log.items) == 1


async def test_a_name_is_resolved_and_an_unknown_name_fails(redis_url: str) -> None:
    async with running_simulator(THREE_LIVE) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            known = await add_watch(runtime, WatchKind.CREATOR, "@Host")
            unknown = await add_watch(runtime, WatchKind.CREATOR, "@nobody")

            async def are_settled() -> bool:
                watches = await runtime.store.watches.get_many([known.id, unknown.id])
                return all(watch.status is not WatchStatus.RESOLVING for watch in watches.values())

            await wait_until(are_settled, message="both names are settled")
            watches = await runtime.store.watches.get_many([known.id, unknown.id])
    assert watches[known.id].status is WatchStatus.ACTIVE
    assert watches[known.id].subject == "1"
    assert watches[unknown.id].status is WatchStatus.FAILED
    assert "@nobody" in str(watches[unknown.id].failure_reason)


async def test_one_space_matched_by_three_watches_is_one_event_that_each_endpoint_gets_once(
    redis_url: str,
) -> None:
    scenario = THREE_LIVE.replace("0s", "2s", 1)
    async with Receiver() as receiver, running_simulator(scenario) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            await add_endpoint(runtime, receiver, "/one", filters=Filters(space_ids=("A",)))
            await add_endpoint(runtime, receiver, "/two", filters=Filters(space_ids=("A",)))
            watches = [
                await add_watch(runtime, WatchKind.CREATOR, "1"),
                await add_watch(runtime, WatchKind.SPACE, "A"),
            ]
            await receiver.wait_for("/one", 1)
            await receiver.wait_for("/two", 1)
            deliveries = await runtime.store.deliveries.page(limit=50, cursor=None, space_id="A")
    (one,), (two,) = receiver.received("/one"), receiver.received("/two")
    assert one.event_id == two.event_id
    assert set(one.json["data"]["watch_ids"]) == {watch.id for watch in watches}
    assert len(deliveries.items) == 2


async def test_two_workers_that_see_the_same_space_make_one_event_of_each_change(redis_url: str) -> None:
    async with Receiver() as receiver, running_simulator(A_LIFE) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings), running_worker(settings):
            await add_endpoint(runtime, receiver, "/hook")
            await add_watch(runtime, WatchKind.CREATOR, "1")
            await add_watch(runtime, WatchKind.SPACE, "SPACE1")
            await receiver.wait_for("/hook", 6)
            ids = [each.event_id for each in receiver.received("/hook")]
    assert len(ids) == len(set(ids)) == 6


async def test_a_watch_removed_during_a_live_space_ends_the_polling_and_announces_no_end(
    redis_url: str,
) -> None:
    scenario = """
spaces:
  - {id: A, creator_id: "1", timeline: [{at: 0s, set: {state: live, title: one}}, {at: 2s, gone: true}]}
"""
    async with running_simulator(scenario) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            watch = await add_watch(runtime, WatchKind.SPACE, "A")

            async def is_seen() -> bool:
                page = await runtime.store.events.page(limit=10, cursor=None)
                return len(page.items) == 1

            await wait_until(is_seen, message="the Space is seen")
            await runtime.store.watches.delete(watch.id, now=runtime.clock())

            async def is_quiet() -> bool:
                queues = await runtime.store.polls.queues(now=runtime.clock())
                return queues[Call.LOOKUP].waiting + queues[Call.LOOKUP].in_flight == 0

            await wait_until(is_quiet, message="nothing is polled any more")
            log = await runtime.store.events.page(limit=10, cursor=None)
    assert [event.type for event in log.items] == ["space.started"]
