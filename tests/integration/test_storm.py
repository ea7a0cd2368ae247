"""The bundled storm scenario ends with exactly the expected events."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from notifier.core.model.watch import WatchKind
from notifier.core.polling import outages
from notifier.runtime import Runtime, open_runtime
from notifier.simulator import Contract, Limits, create_simulator, load_scenario
from tests.support.pipeline import add_endpoint, add_watch, quick_settings
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker

pytestmark = pytest.mark.no_cover

SPEED: Final = 5.0

STORY: Final[dict[str, list[str]]] = {
    "1StormLedgerA": [
        "scheduled", "rescheduled", "title_changed", "started", "speakers_added", "speakers_added",
        "participants_milestone", "hosts_changed", "participants_milestone", "ended",
    ],
    "1StormUnplanB": ["started", "participants_milestone", "ended"],
    "1StormCalledC": ["scheduled", "canceled"],
    "1StormSilentD": ["scheduled", "canceled"],
    "1StormUnbornE": ["scheduled", "canceled"],
    "1StormTardyyF": ["scheduled", "started", "updated", "ended"],
    "1StormStrangG": ["started", "title_changed", "ended"],
    "1StormTitlesH": ["started", "title_changed", "title_changed"],
    "1StormVoicesI": ["started", "speakers_added", "hosts_changed", "hosts_changed", "ended"],
    "1StormEarlyyJ": ["scheduled", "started", "participants_milestone", "ended"],
    "1StormGuestsK": ["started", "title_changed", "ended"],
    "1StormOrphanL": ["started", "ended"],
}  # fmt: skip
"""What happens to each Space, according to the file, and nothing else."""

INFERRED: Final = {("1StormUnplanB", "ended"), ("1StormVoicesI", "ended"), ("1StormSilentD", "canceled")}

SCENARIO_SECONDS: Final = 100.0
"""More than the scenario takes at this speed; the test ends as soon as all events are there."""


async def announced(runtime: Runtime) -> dict[str, list[dict[str, Any]]]:
    """Return the logged events by Space, oldest first."""
    story: dict[str, list[dict[str, Any]]] = {}
    for space_id in STORY:
        page = await runtime.store.events.of_space(space_id, limit=100, cursor=None)
        story[space_id] = [json.loads(event.body) for event in page.items]
    return story


@pytest.mark.parametrize("contract", Contract)
async def test_the_storm_is_announced_correctly(
    redis_url: str, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The scenario lasts seconds, so the pauses after an outage of the account must be short.
    monkeypatch.setattr(outages, "PAUSE_SECONDS", dict.fromkeys(outages.PAUSE_SECONDS, 0.3))
    scenario = load_scenario("storm")
    simulator = create_simulator(scenario, contract=contract, speed=SPEED, limits=Limits(requests=100_000))
    async with TestServer(simulator) as x, Receiver() as receiver:
        settings = quick_settings(
            redis_url, x_url=str(x.make_url("")).rstrip("/"), confirm_seconds=0.6, poll_discovery_seconds=1
        )
        async with open_runtime(settings) as runtime, running_worker(settings):
            await add_endpoint(runtime, receiver, "/hook", event_types=("*",))
            for user in scenario.users:
                await add_watch(runtime, WatchKind.CREATOR, user.id)

            async def is_over() -> bool:
                async with session.get(x.make_url("/_simulator/status")) as status:
                    ended = (await status.json())["ended"]
                story = await announced(runtime)
                return bool(ended) and all(len(story[space]) >= len(STORY[space]) for space in STORY)

            async with ClientSession() as session:
                await wait_until(
                    is_over, timeout=SCENARIO_SECONDS, interval=0.2, message="all events are announced"
                )
            story = await announced(runtime)
            event_ids = {event["data"]["id"] for events in story.values() for event in events}

            def has_come() -> bool:
                return event_ids <= {each.event_id for each in receiver.received("/hook")}

            await wait_until(has_come, message="everything has been delivered")
    types = {
        space: [event["type"].removeprefix("space.") for event in events] for space, events in story.items()
    }
    assert types == STORY
    assert {
        (space, event["type"].removeprefix("space."))
        for space, events in story.items()
        for event in events
        if event["data"]["inferred"]
    } == INFERRED
    assert all(each.verified for each in receiver.received("/hook"))
