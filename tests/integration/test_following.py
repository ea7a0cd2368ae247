"""What a watch that comes, pauses or goes on means for the Spaces that it follows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from notifier.core.events import EventType
from notifier.core.observation import Call
from notifier.core.watch import OnFirstSight, Watch, WatchKind
from tests.support.api_runtime import Clock
from tests.support.fed_worker import SPACE, events_of, fed_worker, known, tell, tell_lost
from tests.support.pipeline import add_watch
from workers.context import Worker

CREATOR = "2244994945"
LIVE = {"id": SPACE, "state": "live", "title": "On air", "creator_id": CREATOR}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def worker(redis_url: str, clock: Clock) -> AsyncIterator[Worker]:
    async with fed_worker(redis_url, clock) as started:
        yield started


async def discovered(worker: Worker, record: dict[str, Any]) -> Watch:
    """Follow a creator whose Space is seen."""
    watch = await add_watch(worker.runtime, WatchKind.CREATOR, CREATOR)
    await tell(worker, record, call=Call.CREATORS, subjects=[CREATOR])
    return watch


async def pause(worker: Worker, watch: Watch, *, paused: bool) -> None:
    store = worker.runtime.store
    before = await store.watches.get(watch.id)
    await store.watches.save(replace(before, paused=paused), replacing=before, now=worker.runtime.clock())


async def is_looked_at(worker: Worker) -> bool:
    urgent, patient = await worker.runtime.store.looks.first(Call.LOOKUP, now=0, limit=10)
    return SPACE in [look.subject for look in (*urgent, *patient)]


async def test_a_watch_that_goes_on_while_its_space_is_given_up_keeps_it(
    worker: Worker, clock: Clock
) -> None:
    watch = await discovered(worker, LIVE)
    await pause(worker, watch, paused=True)
    # A worker has just read that nobody follows the Space, and is slower than the operator.
    await pause(worker, watch, paused=False)
    await worker.runtime.store.timers.untrack([SPACE], now=clock())
    assert await is_looked_at(worker)


async def test_a_space_is_given_up_when_all_its_watches_are_paused(worker: Worker) -> None:
    watch = await discovered(worker, LIVE)
    await pause(worker, watch, paused=True)
    await tell(worker, LIVE)
    assert not await is_looked_at(worker)
    await pause(worker, watch, paused=False)
    assert await is_looked_at(worker)


async def test_a_space_that_ended_meanwhile_is_looked_at_again_when_its_watch_goes_on(
    worker: Worker, clock: Clock
) -> None:
    watch = await discovered(worker, LIVE)
    await tell_lost(worker, clock)
    await pause(worker, watch, paused=True)
    await tell(worker, missing=[SPACE])
    assert not await is_looked_at(worker)
    await pause(worker, watch, paused=False)
    assert await is_looked_at(worker), "it may come back, and then its end is to be taken back"


@pytest.mark.parametrize("cut_short", [{"id": SPACE, "state": "live"}, LIVE | {"title": "As it was"}])
async def test_a_baseline_tells_what_is_known_whatever_the_answer_was_like(
    worker: Worker, clock: Clock, cut_short: dict[str, Any]
) -> None:
    await discovered(worker, LIVE)
    late = clock.now
    clock.now += 60
    await tell(worker, LIVE | {"title": "As it is"})
    await add_watch(worker.runtime, WatchKind.SPACE, SPACE, on_first_sight=OnFirstSight.BASELINE)
    clock.now = late - 1
    await tell(worker, cut_short)
    (baseline,) = await events_of(worker, EventType.WATCH_BASELINE)
    (listed,) = json.loads(baseline.body)["data"]["details"]["spaces"]
    assert listed == (await known(worker)).space.as_json()
    assert listed["title"] == "As it is"


async def test_a_baseline_leaves_out_what_is_not_known_yet_and_is_told_when_it_is(
    worker: Worker, clock: Clock
) -> None:
    await add_watch(worker.runtime, WatchKind.SPACE, SPACE, on_first_sight=OnFirstSight.BASELINE)
    await tell(worker, LIVE | {"state": "rehearsing"})
    (baseline,) = await events_of(worker, EventType.WATCH_BASELINE)
    assert json.loads(baseline.body)["data"]["details"]["spaces"] == []
    clock.now += 60
    await tell(worker, LIVE)
    assert [event.type for event in await events_of(worker)] == [EventType.WATCH_BASELINE, EventType.STARTED]


async def test_a_baseline_tells_of_the_spaces_of_its_own_creator_alone(worker: Worker) -> None:
    for creator in (CREATOR, "783214"):
        await add_watch(worker.runtime, WatchKind.CREATOR, creator, on_first_sight=OnFirstSight.BASELINE)
    other = {"id": "1yNGaNLjEYbGj", "state": "live", "creator_id": "783214"}
    await tell(worker, LIVE, other, call=Call.CREATORS, subjects=[CREATOR, "783214"])
    details = [json.loads(event.body)["data"]["details"] for event in await events_of(worker)]
    told = {each["watch"]["target"]: [space["id"] for space in each["spaces"]] for each in details}
    assert told == {CREATOR: [SPACE], "783214": ["1yNGaNLjEYbGj"]}
