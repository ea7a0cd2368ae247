"""The numbered edge cases that need several polls: store, workers and simulator together."""

from __future__ import annotations

import asyncio
import json

import pytest

from notifier.core.model.observation import Call
from notifier.core.model.watch import OnFirstSight, WatchKind
from notifier.runtime import open_runtime
from tests.support.pipeline import add_endpoint, add_watch, quick_settings, running_simulator
from tests.support.receiver import Receiver
from tests.support.rig import Rig, open_rig, spaces
from tests.support.wait import wait_until
from tests.support.worker import running_worker

pytestmark = pytest.mark.server

LIVE = "{at: 0s, set: {state: live, title: news, started_at: -60s}}"
TITLES = (
    "hello @everyone <!channel>",
    "</b></script><img src=x onerror=alert(1)>",
    "a\r\nSet-Cookie: b",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL} \N{FIRE}",
    "\0 \N{LINE SEPARATOR} & \" ' %s {} \t",
    "x" * 5000,
)


async def events_of(rig: Rig, space_id: str) -> list[str]:
    page = await rig.runtime.store.events.of_space(space_id, limit=100, cursor=None)
    return [event.type for event in page.items]


@pytest.mark.parametrize("kind", [WatchKind.CREATOR, WatchKind.SEARCH])
async def test_case_1_a_first_run_with_three_live_spaces_is_one_baseline_and_no_space_event(
    redis_url: str, kind: WatchKind
) -> None:
    scenario = "spaces:\n" + spaces(["A", "a", "B"], LIVE, creator="1")
    async with open_rig(redis_url, scenario) as rig:
        target = "1" if kind is WatchKind.CREATOR else "news"
        await rig.watch(kind, target, on_first_sight=OnFirstSight.BASELINE)
        await rig.pass_time(300, step=10)
        page = await rig.runtime.store.events.page(limit=10, cursor=None)
        tracked = await rig.runtime.store.spaces.page(limit=10, cursor=None)
    (event,) = page.items
    details = json.loads(event.body)["data"]["details"]
    assert event.type == "watch.baseline"
    assert sorted(each["id"] for each in details["spaces"]) == ["A", "B", "a"]
    assert {each.known.sequence for each in tracked.items if each.known} == {0}


async def test_case_1_changes_after_the_baseline_are_announced(redis_url: str) -> None:
    scenario = "spaces:\n" + spaces(["A"], LIVE, creator="1")
    scenario += spaces(["B"], "{at: 90s, set: {state: live, title: more}}", creator="1")
    async with open_rig(redis_url, scenario) as rig:
        await rig.watch(WatchKind.CREATOR, "1", on_first_sight=OnFirstSight.BASELINE)
        await rig.pass_time(300, step=10)
        assert await rig.types() == ["watch.baseline", "space.started"]
        assert await events_of(rig, "B") == ["space.started"]


async def test_case_8_gone_from_the_list_while_the_lookup_says_live_announces_nothing(redis_url: str) -> None:
    scenario = "spaces:\n" + spaces(["A"], LIVE, creator="1")
    scenario += "faults: [{at: 50s, for: 20m, kind: vanish_all, calls: [creators]}]"
    # Live Spaces are polled so rarely here that only the missing list entry can cause a poll.
    async with open_rig(redis_url, scenario, poll_live_seconds=3600) as rig:
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.poll()
        await rig.pass_time(60, step=10)
        assert len(rig.x.of(Call.CREATORS)) == 2
        await rig.pass_time(1)
        assert [asked.subjects for asked in rig.x.of(Call.LOOKUP)] == [("A",)], "it is looked up at once"
        await rig.pass_time(1500, step=20)
        assert await rig.types() == ["space.started"]


async def test_case_11_a_200_with_nothing_but_errors_for_all_hundred_ids_opens_the_circuit(
    redis_url: str,
) -> None:
    everything = [f"S{number}" for number in range(100)]
    scenario = "spaces:\n" + spaces(everything, LIVE)
    scenario += "faults: [{at: 45s, for: 200s, kind: vanish_all}]"
    async with open_rig(redis_url, scenario) as rig:
        await rig.watch(WatchKind.SPACE, *everything)
        await rig.poll()
        await rig.pass_time(240, step=10)
        assert await rig.announced("source.") == ["source.degraded"]
        await rig.pass_time(60, step=10)
        assert await rig.announced("source.") == ["source.degraded", "source.recovered"]
        assert await rig.announced("space.") == ["space.started"] * 100


async def test_case_18_ids_that_differ_only_in_case_are_two_spaces_with_two_ends(redis_url: str) -> None:
    scenario = "spaces:\n" + spaces(["abC"], LIVE, "{at: 60s, set: {state: ended, ended_at: +60s}}")
    scenario += spaces(["ABc"], LIVE)
    async with open_rig(redis_url, scenario) as rig:
        await rig.watch(WatchKind.SPACE, "abC", "ABc")
        await rig.pass_time(300, step=10)
        assert await events_of(rig, "abC") == ["space.started", "space.ended"]
        assert await events_of(rig, "ABc") == ["space.started"]


async def test_case_19_one_space_of_three_watches_is_one_event_that_each_endpoint_gets_once(
    redis_url: str,
) -> None:
    scenario = "spaces:\n" + spaces(["A"], "{at: 1s, set: {state: live, title: news}}", creator="1")
    async with Receiver() as receiver, running_simulator(scenario) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            for path in ("/one", "/two"):
                await add_endpoint(runtime, receiver, path)
            watches = [
                await add_watch(runtime, WatchKind.CREATOR, "1"),
                await add_watch(runtime, WatchKind.SEARCH, "news"),
                await add_watch(runtime, WatchKind.SPACE, "A"),
            ]

            async def are_linked() -> bool:
                return len((await runtime.store.spaces.read_many(["A"]))["A"].watch_ids) == 3  # type: ignore[index]  # ids are plain text here

            await wait_until(are_linked, message="every watch has found the Space")
            for path in ("/one", "/two"):
                await receiver.wait_for(path, 1)
            log = await runtime.store.events.page(limit=10, cursor=None)
            owed = await runtime.store.deliveries.page(limit=50, cursor=None)
    assert [event.type for event in log.items] == ["space.started"]
    assert len(owed.items) == 2
    (one,), (two,) = receiver.received("/one"), receiver.received("/two")
    assert one.event_id == two.event_id == log.items[0].id
    assert set(one.json["data"]["watch_ids"]) <= {watch.id for watch in watches}


async def test_case_19_an_event_names_all_three_watches_that_have_found_the_space(redis_url: str) -> None:
    end = "{at: 100s, set: {state: ended, ended_at: +100s}}"
    async with open_rig(redis_url, "spaces:\n" + spaces(["A"], LIVE, end)) as rig:
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.watch(WatchKind.SEARCH, "news")
        await rig.watch(WatchKind.SPACE, "A")
        await rig.pass_time(200, step=10)
        page = await rig.runtime.store.events.of_space("A", limit=10, cursor=None)
    started, ended = (json.loads(event.body)["data"] for event in page.items)
    assert ended["watch_ids"] == ["wch_creator_1", "wch_search_news", "wch_space_A"]
    assert set(started["watch_ids"]) <= set(ended["watch_ids"])


async def test_case_20_two_workers_that_observe_the_same_space_at_once_make_one_event(
    redis_url: str,
) -> None:
    """Each worker polls by another call, so both have an answer about the Space at the same time."""
    many = [f"S{number}" for number in range(30)]
    end = "{at: 55s, set: {state: ended, ended_at: +55s}}"
    async with open_rig(redis_url, "spaces:\n" + spaces(many, LIVE, end), workers=2) as rig:
        await rig.watch(WatchKind.CREATOR, *map(str, range(1, 31)))
        await rig.watch(WatchKind.SEARCH, "news", "new")
        for _ in range(20):
            rig.clock.now += 10
            await asyncio.gather(rig.poll(0), rig.poll(1), rig.poll(0), rig.poll(1))
        announced = {each: await events_of(rig, each) for each in many}
        assert await rig.counts() == {"space.started": 30, "space.ended": 30}
    assert set(map(tuple, announced.values())) == {("space.started", "space.ended")}


async def test_case_21_a_watch_removed_during_a_live_space_ends_the_tracking_without_an_end(
    redis_url: str,
) -> None:
    end = "{at: 100s, set: {state: ended, ended_at: +100s}}"
    async with open_rig(redis_url, "spaces:\n" + spaces(["A", "B"], LIVE, end, creator="1")) as rig:
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.watch(WatchKind.SPACE, "B")
        await rig.pass_time(60, step=10)
        await rig.runtime.store.watches.delete("wch_creator_1", now=rig.clock.now)
        rig.x.requests.clear()
        await rig.pass_time(600, step=10)
        assert await events_of(rig, "A") == ["space.started"]
        assert await events_of(rig, "B") == ["space.started", "space.ended"], "somebody else watches it"
        assert "A" not in {each for asked in rig.x.requests for each in asked.subjects}
        assert rig.x.of(Call.CREATORS) == []


@pytest.mark.parametrize("title", TITLES, ids=range(len(TITLES)))
async def test_case_22_a_hostile_title_reaches_the_receiver_as_it_is(redis_url: str, title: str) -> None:
    escaped = "".join(f"\\U{ord(character):08x}" for character in title)
    timeline = f'{{at: 0s, set: {{state: live, title: "{escaped}"}}}}'
    async with open_rig(redis_url, "spaces:\n" + spaces(["A"], timeline)) as rig:
        await rig.watch(WatchKind.SPACE, "A")
        await rig.poll()
        page = await rig.runtime.store.events.page(limit=10, cursor=None)
        known = (await rig.runtime.store.spaces.get("A")).known
    assert json.loads(page.items[0].body)["data"]["space"]["title"] == title
    assert known is not None
    assert known.space.title == title
