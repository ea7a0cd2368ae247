from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.core.model.observation import Call
from notifier.core.model.reasons import OutageKind
from notifier.core.model.watch import WatchKind
from notifier.metrics import OBSERVATIONS
from notifier.runtime import Runtime, open_runtime
from notifier.store import Store
from tests.support.pipeline import add_watch, quick_settings, running_simulator
from tests.support.wait import wait_until
from tests.support.worker import running_worker

pytestmark = pytest.mark.server

LIVE = "{at: 0s, set: {state: live, title: one, started_at: -60s}}"
END = "{at: 3s, set: {state: ended, ended_at: +3s}}"
SIX_LIVE = "spaces:\n" + "".join(
    f'  - {{id: S{number}, creator_id: "{number}", timeline: [{LIVE}]}}\n' for number in range(6)
)


async def types_of(runtime: Runtime) -> list[str]:
    page = await runtime.store.events.page(limit=100, cursor=None, oldest_first=True)
    return [event.type for event in page.items]


async def observations(runtime: Runtime, result: str) -> float:
    counts = await runtime.store.telemetry.read()
    return sum(count for (_, said), count in OBSERVATIONS.read(counts).items() if said == result)


@pytest.mark.parametrize("fault", ["unavailable", "html", "truncated", "reset", "stale", "vanish_all"])
async def test_no_fault_of_x_makes_an_event_and_true_changes_follow_afterwards(
    redis_url: str, fault: str
) -> None:
    scenario = (
        SIX_LIVE
        + f'  - {{id: LAST, creator_id: "9", timeline: [{LIVE}, {END}]}}\n'
        + f"faults: [{{at: 1s, for: 1.5s, kind: {fault}}}]\n"
    )
    async with running_simulator(scenario) as x_url:
        settings = quick_settings(redis_url, x_url=x_url, confirm_seconds=0.1)
        async with open_runtime(settings) as runtime, running_worker(settings):
            for number in range(6):
                await add_watch(runtime, WatchKind.SPACE, f"S{number}")
            await add_watch(runtime, WatchKind.SPACE, "LAST")

            async def is_over() -> bool:
                types = await types_of(runtime)
                return "space.ended" in types and "source.recovered" in types

            await wait_until(is_over, message="the end is seen, and that X is back")
            types = await types_of(runtime)
    about_spaces = [event_type for event_type in types if event_type.startswith("space.")]
    assert sorted(about_spaces) == ["space.ended"] + ["space.started"] * 7
    about_source = [event_type for event_type in types if event_type.startswith("source.")]
    assert about_source[::2] == ["source.degraded"] * (len(about_source) // 2)
    assert about_source[1::2] == ["source.recovered"] * (len(about_source) // 2)


async def test_a_rate_limit_is_respected_until_it_ends(redis_url: str) -> None:
    scenario = SIX_LIVE + "faults: [{at: 0s, for: 1.5s, kind: rate_limited}]\n"
    async with running_simulator(scenario) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            await add_watch(runtime, WatchKind.SPACE, "S1")

            async def is_seen() -> bool:
                return bool(await types_of(runtime))

            await wait_until(is_seen, message="the Space is seen once X lets us ask")

            async def is_counted() -> bool:
                return await observations(runtime, "rate_limited") > 0

            await wait_until(is_counted, message="the refusal is counted")
            assert await observations(runtime, "rate_limited") <= 2


async def test_insufficient_credentials_stop_the_polling(redis_url: str) -> None:
    scenario = SIX_LIVE + "faults: [{at: 0s, for: 1h, kind: unauthorized}]\n"
    async with running_simulator(scenario) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime, running_worker(settings):
            await add_watch(runtime, WatchKind.SPACE, "S1")

            async def is_paused() -> bool:
                health, _ = await runtime.store.health.read()
                return health.paused_until(Call.LOOKUP) > runtime.clock() + 200

            await wait_until(is_paused, message="the source is paused")
            health, _ = await runtime.store.health.read()
            assert set(health.outages()) == {OutageKind.UNAUTHORIZED}
            assert await types_of(runtime) == ["source.degraded"]


async def test_a_paused_watch_is_not_polled_until_resumed(redis_url: str) -> None:
    async with running_simulator(SIX_LIVE) as x_url:
        settings = quick_settings(redis_url, x_url=x_url)
        async with open_runtime(settings) as runtime:
            store: Store = runtime.store
            watch = await add_watch(runtime, WatchKind.CREATOR, "1")
            paused = replace(watch, paused=True)
            await store.watches.save(paused, replacing=watch, now=runtime.clock())
            assert (await store.polls.queues(now=runtime.clock()))[Call.CREATORS].waiting == 0
            await store.watches.save(watch, replacing=paused, now=runtime.clock())
            assert (await store.polls.queues(now=runtime.clock()))[Call.CREATORS].waiting == 1
