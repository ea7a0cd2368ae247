"""Deliveries that run for some seconds through real workers, while something happens to Redis."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from notifier.core.delivery.delivery import DeliveryStatus
from notifier.core.delivery.endpoint import Endpoint, SealedSecret
from notifier.core.model.ids import EndpointId, EventId
from notifier.errors import UnavailableError
from notifier.runtime import Runtime, open_runtime
from notifier.store.doctor import findings
from tests.support.counting_receiver import CountingReceiver
from tests.support.pipeline import MASTER_KEY, SECRET, numbered_event, quick_settings
from tests.support.processes import NotifierProcess, free_port
from tests.support.wait import wait_until

ENDPOINTS: Final = 10
SECONDS: Final = 8
"""How long the deliveries take when nothing delays them."""

GOES_ON_WITHIN_SECONDS: Final = 5.0
SETTLED_WITHIN_SECONDS: Final = 60.0
ANSWERS_WITHIN_SECONDS: Final = 10.0


@dataclass(slots=True)
class Flow:
    """Rate-limited endpoints, the events they must receive, and the processes that serve them."""

    runtime: Runtime
    receiver: CountingReceiver
    api: str
    processes: list[NotifierProcess]
    deliveries: int
    events: list[EventId] = field(default_factory=list)
    readiness: list[tuple[int, float]] = field(default_factory=list)

    async def begin(self) -> None:
        """Register the endpoints, commit the events, and wait until the first have arrived."""
        now, count = self.runtime.clock(), self.deliveries // ENDPOINTS
        for number in range(ENDPOINTS):
            await self.runtime.store.endpoints.create(
                Endpoint(
                    id=EndpointId(f"ep_{number:016}"),
                    url=self.receiver.url(f"/{number}"),
                    event_types=("*",),
                    rate_limit_per_second=count / SECONDS,
                    secrets=(SealedSecret(self.runtime.secrets.seal(SECRET)),),
                    created_at=now,
                    updated_at=now,
                )
            )
        for number in range(count):
            event = numbered_event(number)
            await self.runtime.store.events.commit(event)
            self.events.append(event.id)
        await self.arrives(self.deliveries // 20)

    async def arrives(self, more: int = 1, *, within: float = 30.0) -> None:
        """Wait for ``more`` further requests."""
        wanted = min(self.receiver.requests + more, self.deliveries)
        await wait_until(
            lambda: self.receiver.requests >= wanted,
            timeout=within,
            message=lambda: f"{self.receiver.requests} of {wanted} arrived\n{self._output()}",
        )

    async def goes_on(self) -> None:
        """Check that deliveries resume soon, and that no process has exited."""
        await self.arrives(20, within=GOES_ON_WITHIN_SECONDS)
        assert [process.exit_code for process in self.processes] == [None] * len(self.processes), (
            self._output()
        )

    async def check(self) -> None:
        """Wait until all is delivered, and check the arrivals, the records and the readiness."""
        await wait_until(
            self._is_settled, timeout=SETTLED_WITHIN_SECONDS, interval=0.1, message="everything is delivered"
        )
        for number in range(ENDPOINTS):
            arrivals = Counter(each.event_id for each in self.receiver.arrivals[f"/{number}"])
            assert arrivals.keys() == set(self.events), f"/{number} got the wrong events"
        assert await findings(self.runtime.store) == []
        assert [process.exit_code for process in self.processes] == [None] * len(self.processes)
        slowest = max(seconds for _, seconds in self.readiness)
        assert slowest < ANSWERS_WITHIN_SECONDS, f"/readyz took {slowest:.1f} s"
        assert self.readiness[-1][0] == 200

    @property
    def repeated(self) -> int:
        """The number of repeated requests."""
        return self.receiver.requests - self.deliveries

    async def watch_readiness(self) -> None:
        """Poll the readiness of the API until cancelled."""
        async with aiohttp.ClientSession() as session:
            while True:
                began = time.monotonic()
                async with session.get(f"{self.api}/readyz") as response:
                    await response.read()
                self.readiness.append((response.status, time.monotonic() - began))
                await asyncio.sleep(0.1)

    async def _is_settled(self) -> bool:
        with suppress(UnavailableError):
            async with self.runtime.store.database.pipeline() as pipe:
                for number in range(ENDPOINTS):
                    for event in self.events:
                        endpoint = EndpointId(f"ep_{number:016}")
                        pipe.hget(self.runtime.store.partitions.delivery(event, endpoint), "status")
                return set(await pipe.execute()) == {DeliveryStatus.DELIVERED}
        return False

    def log(self) -> list[str]:
        """Return what the processes have logged, except attempts."""
        return [
            line
            for process in self.processes
            for line in process.output.splitlines()
            if "delivery.attempted" not in line
        ]

    def _output(self) -> str:
        return "\n".join(self.log())


@asynccontextmanager
async def flowing(redis_url: str, directory: Path, *, workers: int, deliveries: int) -> AsyncIterator[Flow]:
    """Run workers and an API in their own processes, with deliveries in progress."""
    port = free_port()
    settings = {
        "REDIS_URL": redis_url,
        "MASTER_KEYS": MASTER_KEY,
        "ADMIN_KEY": "test-key",
        "ALLOW_HTTP": "true",
        "ALLOWED_NETWORKS": "127.0.0.0/8",
        "PORT": str(port),
    }
    names = [*(f"worker{number}" for number in range(workers)), "api"]
    async with AsyncExitStack() as stack:
        processes = [
            stack.enter_context(
                NotifierProcess(
                    "api" if name == "api" else "worker",
                    directory=directory,
                    settings=settings,
                    name=name,
                )
            )
            for name in names
        ]
        receiver = await stack.enter_async_context(CountingReceiver(verifies=False))
        runtime = await stack.enter_async_context(open_runtime(quick_settings(redis_url)))
        for process in processes[:-1]:
            await process.wait_for("worker.started", timeout=60)
        await processes[-1].wait_for("serving", timeout=60)
        flow = Flow(runtime, receiver, f"http://127.0.0.1:{port}", processes, deliveries)
        await flow.begin()
        readiness = asyncio.create_task(flow.watch_readiness())
        try:
            yield flow
        finally:
            readiness.cancel()
            with suppress(asyncio.CancelledError):
                await readiness
