"""A test rig: workers and the stand-in for X on one clock that the test controls.

Nothing happens by itself: a job runs when the test calls it, and time passes when the test advances it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, TypeAlias

from aiohttp import web
from aiohttp.test_utils import TestServer

from notifier.core.events.event import PayloadForm
from notifier.core.model.observation import Call
from notifier.core.model.watch import OnFirstSight, WatchKind
from notifier.runtime import Runtime, open_runtime
from notifier.simulator import Behaviour, Contract, Limits, create_simulator
from notifier.simulator.files import parse_scenario
from notifier.simulator.scenario import Scenario
from notifier.source.client import PATHS
from notifier.store import Job, JobName
from tests.support.api_runtime import Clock, RecordedWakeups, wakeups_of
from tests.support.pipeline import add_endpoint, add_watch, quick_settings
from tests.support.receiver import Receiver
from workers.clients import delivery_client, x_client
from workers.context import Worker
from workers.housekeeping import sweep
from workers.observe import observe
from workers.timers import fire_timers

CALLS: Final = {path: (call, parameter) for call, (path, parameter) in PATHS.items()}
NO_PACE: Final = Behaviour(creators_per_second=0)
ROOMY: Final = Limits(requests=100_000)
NOON: Final = 1_699_963_200.0
"""2023-11-14T12:00:00Z: far from both ends of a UTC day."""


@dataclass(frozen=True, slots=True)
class XRequest:
    """One request as X received it.

    Attributes:
        query: Every parameter as it was sent.
        at: Epoch seconds on the rig's clock.
        status: The status of the answer; 0 until there is one.
    """

    call: Call
    subjects: tuple[str, ...]
    query: Mapping[str, str]
    at: float
    status: int = 0

    @property
    def people(self) -> bool:
        """Whether hosts, speakers and guests were requested."""
        return "host_ids" in self.query.get("expansions", "")


Override: TypeAlias = Callable[[XRequest], Awaitable[web.Response | None]]
"""Returns an answer, or None to let the simulator answer."""


@dataclass
class RecordedX:
    """Records every request to the simulator, and overrides answers if a test asks for it."""

    clock: Clock
    requests: list[XRequest] = field(default_factory=list)
    override: Override | None = None

    def of(self, call: Call) -> list[XRequest]:
        """Return the requests of one call, in the order of their answers."""
        return [asked for asked in self.requests if asked.call is call]

    def fail(self, call: Call, status: int, body: Any = None) -> None:
        """Answer one call with this status from now on; the simulator answers the others."""

        async def override(asked: XRequest) -> web.Response | None:
            return web.json_response(body or {"title": "no"}, status=status) if asked.call is call else None

        self.override = override

    def restore(self) -> None:
        """Let the simulator answer everything again."""
        self.override = None

    @web.middleware
    async def record(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Record a request and answer it."""
        if request.path not in CALLS:
            return await handler(request)
        call, parameter = CALLS[request.path]
        named = request.query[parameter]
        subjects = (named,) if call is Call.SEARCH else tuple(named.split(","))
        asked = XRequest(call, subjects, dict(request.query), self.clock())
        overridden = await self.override(asked) if self.override is not None else None
        answer = overridden if overridden is not None else await handler(request)
        self.requests.append(replace(asked, status=answer.status))
        return answer


@dataclass(slots=True)
class RigWorker(Worker):
    """A worker whose alarms the test looks at; it runs the jobs."""

    waits: list[float] = field(default_factory=list)

    def ring_in(self, job: JobName, seconds: float) -> None:
        assert job == Job.OBSERVE
        self.waits.append(seconds)


@dataclass
class Rig:
    """An installation on the rig's clock."""

    clock: Clock
    x: RecordedX
    runtime: Runtime
    workers: list[RigWorker]

    async def poll(self, worker: int = 0) -> None:
        """Run the job that polls X for everything that is due."""
        await observe(self.workers[worker])

    async def run_timers(self) -> None:
        """Run the job that handles due timers."""
        await fire_timers(self.workers[0])

    async def sweep(self) -> None:
        """Run the sweep, which makes up for lost wakeups."""
        await sweep(self.workers[0])

    async def pass_time(self, seconds: float, *, step: float = 1.0) -> None:
        """Advance the clock in steps; at each, run the sweep and the jobs that it wakes, in every worker."""
        until = self.clock.now + seconds
        jobs = wakeups_of(self.runtime).jobs
        while self.clock.now < until:
            self.clock.now = min(self.clock.now + step, until)
            jobs.clear()
            await self.sweep()
            if "observe" in jobs:
                for number in range(len(self.workers)):
                    await self.poll(number)
            if "timers" in jobs:
                await self.run_timers()

    async def watch(
        self, kind: WatchKind, *targets: str, on_first_sight: OnFirstSight = OnFirstSight.ANNOUNCE
    ) -> None:
        """Add watches."""
        for target in targets:
            await add_watch(self.runtime, kind, target, on_first_sight=on_first_sight)

    async def endpoint(
        self,
        path: str,
        payload: PayloadForm,
        event_types: tuple[str, ...] = ("space.started", "space.ended"),
    ) -> None:
        """Add an endpoint that only states what it subscribes to; nothing is ever delivered to it."""
        # no worker delivers here, so the receiver is not started
        await add_endpoint(self.runtime, Receiver(), path, payload=payload, event_types=event_types)

    async def types(self) -> list[str]:
        """Return the types of all events, oldest first."""
        page = await self.runtime.store.events.page(limit=1000, cursor=None, oldest_first=True)
        return [event.type for event in page.items]

    async def announced(self, prefix: str) -> list[str]:
        """Return the types of the events with a prefix, oldest first."""
        return [each for each in await self.types() if each.startswith(prefix)]

    async def counts(self) -> Counter[str]:
        """Return the number of events of each type."""
        return Counter(await self.types())


@cache
def parsed(scenario: str) -> Scenario:
    """Return a scenario, which many tests of a file share and some have hundreds of people in."""
    return parse_scenario(scenario, source="test")


@asynccontextmanager
async def open_rig(
    redis_url: str,
    scenario: str,
    *,
    at: float = NOON,
    workers: int = 1,
    contract: Contract = Contract.CURRENT,
    behaviour: Behaviour | None = NO_PACE,
    limits: Limits = ROOMY,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """Open a rig: workers with the default cadence, and a simulator that starts the scenario at ``at``."""
    clock = Clock(at)
    x = RecordedX(clock)
    simulator = create_simulator(
        parsed(scenario),
        contract=contract,
        behaviour=behaviour,
        limits=limits,
        clock=clock,
    )
    simulator.middlewares.append(x.record)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(simulator))
        defaults = {
            "poll_discovery_seconds": 60,
            "poll_near_seconds": 10,
            "poll_live_seconds": 30,
            "poll_scheduled_seconds": 600,
            "confirm_seconds": 30,
        }
        url = str(server.make_url("")).rstrip("/")
        chosen = quick_settings(redis_url, x_url=url, **defaults | settings)
        opened = []
        for number in range(workers):
            runtime = await stack.enter_async_context(open_runtime(chosen, clock=clock))
            runtime = replace(runtime, wakeup=RecordedWakeups(runtime.store.database))
            client = await stack.enter_async_context(delivery_client(runtime, max_connections=1))
            asking = x_client(runtime)
            if asking is not None:
                await stack.enter_async_context(asking)
            opened.append(RigWorker(f"worker-{number}", runtime, asking, client))
        yield Rig(clock, x, opened[0].runtime, opened)


def spaces(ids: Iterable[str], *timeline: str, creator: str = "") -> str:
    """Return Spaces of a scenario with the same timeline, each with its own creator unless one is given."""
    entries = ", ".join(timeline)
    return "".join(
        f'  - {{id: {each}, creator_id: "{creator or number}", timeline: [{entries}]}}\n'
        for number, each in enumerate(ids, start=1)
    )
