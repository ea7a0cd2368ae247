"""How new, paused and resumed watches affect the Spaces that they follow."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from notifier.core.events.event import Event, EventType
from notifier.core.model.ids import WatchId
from notifier.core.model.observation import Call
from notifier.core.model.watch import OnFirstSight, Watch, WatchKind
from notifier.errors import VersionConflictError
from notifier.store.events import Events
from tests.support.api_runtime import Clock
from tests.support.offline_worker import (
    SPACE,
    apply_answer,
    apply_not_found,
    events_of,
    known,
    offline_worker,
)
from tests.support.pipeline import add_watch
from workers.context import Worker

pytestmark = pytest.mark.server

CREATOR = "2244994945"
LIVE = {"id": SPACE, "state": "live", "title": "On air", "creator_id": CREATOR}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def worker(redis_url: str, clock: Clock) -> AsyncIterator[Worker]:
    async with offline_worker(redis_url, clock) as started:
        yield started


async def discovered(worker: Worker, record: dict[str, Any]) -> Watch:
    """Follow a creator whose Space has been seen."""
    watch = await add_watch(worker.runtime, WatchKind.CREATOR, CREATOR)
    await apply_answer(worker, record, call=Call.CREATORS, subjects=[CREATOR])
    return watch


async def pause(worker: Worker, watch: Watch, *, paused: bool) -> None:
    store = worker.runtime.store
    before = await store.watches.get(watch.id)
    await store.watches.save(replace(before, paused=paused), replacing=before, now=worker.runtime.clock())


async def is_polled(worker: Worker) -> bool:
    first = await worker.runtime.store.polls.first(Call.LOOKUP, now=0, limit=10)
    urgent, patient = first.urgent, first.patient
    return SPACE in [poll.subject for poll in (*urgent, *patient)]


async def test_a_watch_resumed_while_its_space_is_dropped_keeps_it(worker: Worker, clock: Clock) -> None:
    watch = await discovered(worker, LIVE)
    await pause(worker, watch, paused=True)
    # A worker has just read that no watch follows the Space, and commits after the operator.
    await pause(worker, watch, paused=False)
    await worker.runtime.store.timers.untrack([SPACE], now=clock())
    assert await is_polled(worker)


async def test_a_space_is_dropped_when_all_its_watches_are_paused(worker: Worker) -> None:
    watch = await discovered(worker, LIVE)
    await pause(worker, watch, paused=True)
    await apply_answer(worker, LIVE)
    assert not await is_polled(worker)
    await pause(worker, watch, paused=False)
    assert await is_polled(worker)


async def test_a_space_that_ended_during_a_pause_is_polled_when_its_watch_resumes(
    worker: Worker, clock: Clock
) -> None:
    watch = await discovered(worker, LIVE)
    await apply_not_found(worker, clock)
    await pause(worker, watch, paused=True)
    await apply_answer(worker, missing=[SPACE])
    assert not await is_polled(worker)
    await pause(worker, watch, paused=False)
    assert await is_polled(worker), "it may come back, and then its end is to be taken back"


@pytest.mark.parametrize("cut_short", [{"id": SPACE, "state": "live"}, LIVE | {"title": "As it was"}])
async def test_a_baseline_lists_the_known_state_not_the_answer(
    worker: Worker, clock: Clock, cut_short: dict[str, Any]
) -> None:
    await discovered(worker, LIVE)
    late = clock.now
    clock.now += 60
    await apply_answer(worker, LIVE | {"title": "As it is"})
    await add_watch(worker.runtime, WatchKind.SPACE, SPACE, on_first_sight=OnFirstSight.BASELINE)
    clock.now = late - 1
    await apply_answer(worker, cut_short)
    (baseline,) = await events_of(worker, EventType.WATCH_BASELINE)
    (listed,) = json.loads(baseline.body)["data"]["details"]["spaces"]
    assert listed == (await known(worker)).space.as_json()
    assert listed["title"] == "As it is"


async def test_a_baseline_omits_unknown_spaces_which_are_announced_later(
    worker: Worker, clock: Clock
) -> None:
    await add_watch(worker.runtime, WatchKind.SPACE, SPACE, on_first_sight=OnFirstSight.BASELINE)
    await apply_answer(worker, LIVE | {"state": "rehearsing"})
    (baseline,) = await events_of(worker, EventType.WATCH_BASELINE)
    assert json.loads(baseline.body)["data"]["details"]["spaces"] == []
    clock.now += 60
    await apply_answer(worker, LIVE)
    assert [event.type for event in await events_of(worker)] == [EventType.WATCH_BASELINE, EventType.STARTED]


async def test_a_baseline_lists_only_the_spaces_of_its_creator(worker: Worker) -> None:
    for creator in (CREATOR, "783214"):
        await add_watch(worker.runtime, WatchKind.CREATOR, creator, on_first_sight=OnFirstSight.BASELINE)
    other = {"id": "1yNGaNLjEYbGj", "state": "live", "creator_id": "783214"}
    await apply_answer(worker, LIVE, other, call=Call.CREATORS, subjects=[CREATOR, "783214"])
    details = [json.loads(event.body)["data"]["details"] for event in await events_of(worker)]
    listed = {each["watch"]["target"]: [space["id"] for space in each["spaces"]] for each in details}
    assert listed == {CREATOR: [SPACE], "783214": ["1yNGaNLjEYbGj"]}


async def overtaken_baseline(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Awaitable[object]]
) -> None:
    """Have a creator's baseline overtaken by another change before it is logged."""
    await add_watch(worker.runtime, WatchKind.SPACE, SPACE)
    await apply_answer(worker, LIVE)
    await add_watch(worker.runtime, WatchKind.CREATOR, CREATOR, on_first_sight=OnFirstSight.BASELINE)
    commit, todo = Events.commit, [meanwhile]

    async def overtake(self: Events, event: Event, **options: Any) -> bool:
        if event.type is EventType.WATCH_BASELINE and todo:
            await todo.pop()()
        return await commit(self, event, **options)

    monkeypatch.setattr(Events, "commit", overtake)
    await apply_answer(worker, LIVE, call=Call.CREATORS, subjects=[CREATOR])
    assert not todo


async def test_a_baseline_never_lists_older_state_than_earlier_events(
    redis_url: str, worker: Worker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with offline_worker(redis_url, clock) as other:

        async def retitle() -> None:
            clock.now += 1
            await apply_answer(other, LIVE | {"title": "Renamed"})

        await overtaken_baseline(worker, monkeypatch, retitle)
    *_, changed, baseline = await events_of(worker)
    assert (changed.type, baseline.type) == (EventType.TITLE_CHANGED, EventType.WATCH_BASELINE)
    (listed,) = json.loads(baseline.body)["data"]["details"]["spaces"]
    assert listed["title"] == "Renamed"


async def test_a_baseline_waits_while_its_watch_is_paused_before_it_is_announced(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch_id = WatchId(f"wch_creator_{CREATOR}")

    async def pause_it() -> None:
        await pause(worker, await worker.runtime.store.watches.get(watch_id), paused=True)

    await overtaken_baseline(worker, monkeypatch, pause_it)
    assert not await events_of(worker, EventType.WATCH_BASELINE)
    await pause(worker, await worker.runtime.store.watches.get(watch_id), paused=False)
    await apply_answer(worker, LIVE, call=Call.CREATORS, subjects=[CREATOR])
    assert len(await events_of(worker, EventType.WATCH_BASELINE)) == 1


async def test_a_baseline_is_announced_even_if_its_watch_is_relabelled_meanwhile(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def relabel() -> None:
        store = worker.runtime.store
        before = await store.watches.get(f"wch_creator_{CREATOR}")
        await store.watches.save(replace(before, label="Mine"), replacing=before, now=worker.runtime.clock())

    await overtaken_baseline(worker, monkeypatch, relabel)
    assert len(await events_of(worker, EventType.WATCH_BASELINE)) == 1
    assert (await worker.runtime.store.watches.get(f"wch_creator_{CREATOR}")).label == "Mine"


async def test_a_baseline_of_constantly_changing_spaces_is_left_to_the_next_poll(
    worker: Worker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> bool:
        return False

    await add_watch(worker.runtime, WatchKind.CREATOR, CREATOR, on_first_sight=OnFirstSight.BASELINE)
    with monkeypatch.context() as busy:
        busy.setattr(Events, "commit", never)
        with pytest.raises(VersionConflictError, match="kept changing"):
            await apply_answer(worker, LIVE, call=Call.CREATORS, subjects=[CREATOR])
    clock.now += 1
    await apply_answer(worker, LIVE, call=Call.CREATORS, subjects=[CREATOR])
    assert [event.type for event in await events_of(worker)] == [EventType.WATCH_BASELINE]
