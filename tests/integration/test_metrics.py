"""Every metric moves when what it counts happens, through the whole pipeline."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from notifier.core.model.watch import WatchKind
from notifier.metrics import METRICS
from notifier.runtime import Runtime, open_runtime
from tests.support.pipeline import add_endpoint, add_watch, quick_settings, running_simulator
from tests.support.receiver import Receiver
from tests.support.wait import wait_until
from tests.support.worker import running_worker

pytestmark = pytest.mark.server

SCENARIO = """
spaces:
  - id: A
    creator_id: "1"
    timeline:
      - {at: 0s, set: {state: live, title: one, started_at: -60s}}
      - {at: 1s, set: {state: simmering}}
      - {at: 2s, set: {state: ended, ended_at: +2s}}
"""


async def moved(runtime: Runtime) -> set[str]:
    """Return the names of the metrics of which some value is above zero."""
    text = (await runtime.metrics_text()).decode()
    return {
        name
        for family in text_string_to_metric_families(text)
        for name in METRICS
        if name.removesuffix("_total") == family.name and any(sample.value > 0 for sample in family.samples)
    }


async def test_every_metric_moves(redis_url: str) -> None:
    async with running_simulator(SCENARIO) as x_url, Receiver() as receiver:
        settings = quick_settings(redis_url, x_url=x_url, confirm_seconds=0.1)
        async with open_runtime(settings) as runtime, running_worker(settings):
            await add_endpoint(runtime, receiver, "/open")
            receiver.answer("/closed", statuses=[429], headers={"Retry-After": "60"})
            await add_endpoint(runtime, receiver, "/closed")
            await add_watch(runtime, WatchKind.SPACE, "A")

            async def all_have_moved() -> bool:
                return await moved(runtime) == METRICS.keys()

            try:
                await wait_until(all_have_moved, timeout=20, interval=0.1, message="every metric has moved")
            except AssertionError:
                pytest.fail(f"did not move: {METRICS.keys() - await moved(runtime)}")
