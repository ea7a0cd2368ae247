"""Bad days of X with real workers: contradicting answers, partial vanishes, unknown states."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from notifier.core.events.event import EventType
from notifier.core.model.observation import Call
from notifier.core.model.watch import WatchKind
from notifier.metrics import UNKNOWN_STATES
from tests.support.api_runtime import Clock
from tests.support.offline_worker import SPACE, apply_answer, events_of, known, offline_worker, run_timers
from tests.support.pipeline import add_watch
from tests.support.rig import Rig, XRequest, open_rig, spaces
from workers.applying import MOST_UNKNOWN_WORDS, OTHER_WORDS
from workers.context import Worker

LIVE = "{at: 0s, set: {state: live, title: news, started_at: -60s}}"
GONE = "{at: 100s, gone: true}"


def lookups_find_nothing(rig: Rig, since: float, until: float = float("inf")) -> None:
    """Have X's lookups find nothing, while its lists are unchanged."""

    async def instead(asked: XRequest) -> web.Response | None:
        if asked.call is not Call.LOOKUP or not since <= asked.at < until:
            return None
        kind = {"type": "https://api.x.com/2/problems/resource-not-found", "resource_type": "space"}
        return web.json_response({"errors": [{**kind, "resource_id": each} for each in asked.subjects]})

    rig.x.override = instead


@pytest.mark.parametrize(("kind", "target"), [(WatchKind.CREATOR, "1"), (WatchKind.SEARCH, "news")])
async def test_a_list_that_shows_a_space_outweighs_lookups(
    redis_url: str, kind: WatchKind, target: str
) -> None:
    async with open_rig(redis_url, "spaces:\n" + spaces(["S1"], LIVE)) as rig:
        await rig.watch(kind, target)
        lookups_find_nothing(rig, since=rig.clock.now + 20)
        await rig.pass_time(1200, step=5)
        assert await rig.announced("space.") == ["space.started"]


@pytest.mark.parametrize("list_fails", [False, True])
async def test_an_inferred_end_is_not_delayed_by_lists(redis_url: str, list_fails: bool) -> None:
    async with open_rig(redis_url, "spaces:\n" + spaces(["S1"], LIVE, GONE)) as rig:
        await rig.watch(WatchKind.CREATOR, "1")
        if list_fails:
            await rig.pass_time(95)
            rig.x.fail(Call.CREATORS, 503)
        began = rig.clock.now
        while EventType.ENDED not in await rig.types():
            await rig.pass_time(1)
            assert rig.clock.now - began < 800
        if list_fails:
            # A list that cannot be polled delays an end for ten minutes at most.
            shown = [asked.at for asked in rig.x.of(Call.CREATORS) if asked.status == 200]
            assert 600 <= rig.clock.now - shown[-1] <= 640
        else:
            gone = [asked.at for asked in rig.x.of(Call.LOOKUP) if asked.at >= began + 100]
            assert rig.clock.now - gone[0] <= 31


async def test_lists_correct_a_wrong_end_while_lookups_still_miss_the_space(redis_url: str) -> None:
    async with open_rig(redis_url, "spaces:\n" + spaces(["S1"], LIVE)) as rig:
        await rig.watch(WatchKind.SPACE, "S1")
        lookups_find_nothing(rig, since=rig.clock.now + 20)
        await rig.pass_time(120)
        assert await rig.announced("space.") == ["space.started", "space.ended"]
        await rig.watch(WatchKind.CREATOR, "1")
        await rig.pass_time(600, step=5)
        assert await rig.announced("space.") == ["space.started", "space.ended", "space.corrected"]


@pytest.mark.parametrize(
    ("creators", "announced"),
    [(("1", "2"), ["source.degraded", "source.recovered"]), (("1", "1"), [])],
)
async def test_a_few_spaces_of_several_creators_that_vanish_together_are_held(
    redis_url: str, creators: tuple[str, str], announced: list[str]
) -> None:
    scenario = "spaces:\n" + "".join(
        spaces([f"S{number}"], LIVE, creator=creator) for number, creator in enumerate(creators)
    )
    async with open_rig(redis_url, scenario) as rig:
        await rig.watch(WatchKind.SPACE, "S0", "S1")
        lookups_find_nothing(rig, since=rig.clock.now + 20, until=rig.clock.now + 500)
        await rig.pass_time(490, step=5)
        ended = [] if announced else ["space.ended", "space.ended"]
        assert await rig.announced("space.") == ["space.started", "space.started", *ended]
        await rig.pass_time(100, step=5)
        assert await rig.announced("source.") == announced
        if announced:
            assert await rig.announced("space.") == ["space.started", "space.started"]


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000.0)


@pytest.fixture
async def worker(redis_url: str, clock: Clock) -> AsyncIterator[Worker]:
    async with offline_worker(redis_url, clock) as started:
        await add_watch(started.runtime, WatchKind.SPACE, SPACE)
        yield started


async def test_an_unknown_state_is_logged_once_and_always_counted(
    worker: Worker, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("running", "running", *(f"word {number}" for number in range(MOST_UNKNOWN_WORDS + 3))):
        clock.now += 1
        await apply_answer(worker, {"id": SPACE, "state": word})
    said = capsys.readouterr()
    lines = [line for line in (said.out + said.err).splitlines() if "source.unknown_state" in line]
    assert len(lines) == MOST_UNKNOWN_WORDS
    counts = worker.runtime.tally.take()
    assert counts[UNKNOWN_STATES.series("running")] == 2
    assert counts[UNKNOWN_STATES.series(OTHER_WORDS)] == 4


@pytest.mark.parametrize("unclear", [[{"id": SPACE, "state": "running"}], []])
async def test_a_reminder_waits_while_the_state_is_unclear(
    worker: Worker, clock: Clock, unclear: list[dict[str, Any]]
) -> None:
    planned = {"id": SPACE, "state": "scheduled", "scheduled_start": "2023-11-15T00:13:20Z"}
    start = 1_700_007_200.0
    await apply_answer(worker, planned)
    clock.now = start - 905
    await apply_answer(worker, *unclear)
    clock.now = start - 890
    await run_timers(worker)
    assert "timers" not in await worker.runtime.store.waiting_work(now=clock.now)
    assert await events_of(worker, EventType.REMINDER) == []
    clock.now = start - 600
    await apply_answer(worker, planned)
    await run_timers(worker)
    (event,) = await events_of(worker, EventType.REMINDER)
    assert json.loads(event.body)["data"]["details"] == {"minutes_before": 10}


async def test_a_list_that_omits_a_space_is_removed_from_its_record(worker: Worker, clock: Clock) -> None:
    live = {"id": SPACE, "state": "live", "creator_id": "1"}
    await add_watch(worker.runtime, WatchKind.CREATOR, "1")
    await apply_answer(worker, live, call=Call.CREATORS, subjects=["1"])
    assert set((await known(worker)).listed) == {"creators:1"}
    clock.now += 1
    await apply_answer(worker, call=Call.CREATORS, subjects=["1"])
    assert (await known(worker)).listed == {}
