"""A worker whose clock a test moves by hand, in front of the stand-in for X on the same clock.

Nothing happens between two steps: a job runs when the test calls it, and time passes when the test says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from aiohttp import web
from aiohttp.test_utils import TestServer

from notifier.core.events.event import PayloadForm
from notifier.core.model.observation import Call
from notifier.core.model.watch import OnFirstSight, WatchKind
from notifier.runtime import Runtime, open_runtime
from notifier.simulator import Behaviour, Contract, Limits, create_simulator
from notifier.simulator.files import parse_scenario
from notifier.source.client import PATHS
from tests.support.api_runtime import Clock, NotedWakeups, wakeups_of
from tests.support.pipeline import add_endpoint, add_watch, quick_settings
from tests.support.receiver import Receiver
from workers.context import WORKER, Worker
from workers.housekeeping import sweep
from workers.observe import observe
from workers.timers import ring_timers

CALLS: Final = {path: (call, parameter) for call, (path, parameter) in PATHS.items()}
NO_PACE: Final = Behaviour(creators_per_second=0)
ROOMY: Final = Limits(requests=100_000)
NOON: Final = 1_699_963_200.0
"""2023-11-14T12:00:00Z: far from both ends of a UTC day."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as X got it.

    Attributes:
        query: Every parameter as it was sent.
        at: Epoch seconds on the steered clock.
        status: Of the answer; 0 while there is none.
    """

    call: Call
    subjects: tuple[str, ...]
    query: Mapping[str, str]
    at: float
    status: int = 0

    @property
    def people(self) -> bool:
        """Whether hosts, speakers and guests were asked for."""
        return "host_ids" in self.query.get("expansions", "")


Instead: TypeAlias = Callable[[Asked], Awaitable[web.Response | None]]
"""What answers in X's place; None leaves the answer to the stand-in."""


@dataclass
class WatchedX:
    """The stand-in for X with a note of every request, and other answers where a test wants them."""

    clock: Clock
    asked: list[Asked] = field(default_factory=list)
    instead: Instead | None = None

    def of(self, call: Call) -> list[Asked]:
        """Return the requests of one call, in the order of their answers."""
        return [asked for asked in self.asked if asked.call is call]

    def fail(self, call: Call, status: int, body: Any = None) -> None:
        """Answer one call with this status from now on; the others are left to the stand-in."""

        async def instead(asked: Asked) -> web.Response | None:
            return web.json_response(body or {"title": "no"}, status=status) if asked.call is call else None

        self.instead = instead

    def heal(self) -> None:
        """Leave every answer to the stand-in again."""
        self.instead = None

    @web.middleware
    async def note(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Note a request and answer it."""
        if request.path not in CALLS:
            return await handler(request)
        call, parameter = CALLS[request.path]
        named = request.query[parameter]
        subjects = (named,) if call is Call.SEARCH else tuple(named.split(","))
        asked = Asked(call, subjects, dict(request.query), self.clock())
        told = await self.instead(asked) if self.instead is not None else None
        answer = told if told is not None else await handler(request)
        self.asked.append(replace(asked, status=answer.status))
        return answer


class SilentWakeups(NotedWakeups):
    """Notes when the worker wants to be woken; a steered worker is woken by its test."""

    async def observe_at(self, moment: float) -> None:
        self._note(("observe_at", moment))

    async def ring(self) -> None:
        self._note("ring")


@dataclass
class Steered:
    """One installation on a steered clock."""

    clock: Clock
    x: WatchedX
    runtime: Runtime
    workers: list[Worker]

    async def poll(self, worker: int = 0) -> None:
        """Run the job that asks X about everything that is due."""
        await observe({WORKER: self.workers[worker]})

    async def ring(self) -> None:
        """Run the job that attends to timers."""
        await ring_timers({WORKER: self.workers[0]})

    async def sweep(self) -> None:
        """Run the job that makes up for lost wakeups."""
        await sweep(self.workers[0])

    async def pass_time(self, seconds: float, *, step: float = 1.0) -> None:
        """Let time pass; at every step the sweep runs, and then what it wakes, in every worker."""
        until = self.clock.now + seconds
        jobs = wakeups_of(self.runtime).jobs
        while self.clock.now < until:
            self.clock.now = min(self.clock.now + step, until)
            jobs.clear()
            await self.sweep()
            if "observe" in jobs:
                for number in range(len(self.workers)):
                    await self.poll(number)
            if "ring" in jobs:
                await self.ring()

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
        """Add an endpoint that nothing is ever delivered to: only its wishes matter."""
        # no worker delivers here, so the receiver need not run
        await add_endpoint(self.runtime, Receiver(), path, payload=payload, event_types=event_types)

    async def types(self) -> list[str]:
        """Return the types of all events, the oldest first."""
        page = await self.runtime.store.events.page(limit=1000, cursor=None, oldest_first=True)
        return [event.type for event in page.items]

    async def announced(self, prefix: str) -> list[str]:
        """Return the types of the events of one group, the oldest first."""
        return [each for each in await self.types() if each.startswith(prefix)]

    async def counts(self) -> Counter[str]:
        """Count the types of all events."""
        return Counter(await self.types())


@asynccontextmanager
async def steered(
    redis_url: str,
    play: str,
    *,
    at: float = NOON,
    workers: int = 1,
    contract: Contract = Contract.CURRENT,
    behaviour: Behaviour | None = NO_PACE,
    limits: Limits = ROOMY,
    **settings: Any,
) -> AsyncIterator[Steered]:
    """Put workers, with the default cadence, in front of the stand-in that plays ``play`` from ``at`` on."""
    clock = Clock(at)
    x = WatchedX(clock)
    simulator = create_simulator(
        parse_scenario(play, source="test"),
        contract=contract,
        behaviour=behaviour,
        limits=limits,
        clock=clock,
    )
    simulator.middlewares.append(x.note)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(simulator))
        usual = {
            "poll_discovery_seconds": 60,
            "poll_near_seconds": 10,
            "poll_live_seconds": 30,
            "poll_scheduled_seconds": 600,
            "confirm_seconds": 30,
        }
        url = str(server.make_url("")).rstrip("/")
        chosen = quick_settings(redis_url, x_url=url, **usual | settings)
        crew = []
        for number in range(workers):
            runtime = await stack.enter_async_context(open_runtime(chosen, clock=clock))
            runtime = replace(runtime, wakeup=SilentWakeups(runtime.store.database))
            client = await stack.enter_async_context(runtime.delivery_client(max_connections=1))
            asking = runtime.x_client()
            if asking is not None:
                await stack.enter_async_context(asking)
            crew.append(Worker(f"worker-{number}", runtime, asking, client))
        yield Steered(clock, x, crew[0].runtime, crew)


def spaces(ids: Iterable[str], *timeline: str, creator: str = "") -> str:
    """Write Spaces of a play that share a timeline; each is its own creator's, named like it, unless told."""
    entries = ", ".join(timeline)
    return "".join(
        f'  - {{id: {each}, creator_id: "{creator or number}", timeline: [{entries}]}}\n'
        for number, each in enumerate(ids, start=1)
    )
