"""The demo: a bundled scenario through the whole real pipeline, checked as the receiver sees it."""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, chdir
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from notifier.cli.admin_call import Refusal, call
from notifier.cli.console import FAILED, output
from notifier.cli.demo_record import EXPECTED_COUNT, DemoRecord
from notifier.cli.event_lines import event_line
from notifier.cli.listener import Received, create_listener
from notifier.cli.serving import bind, port_of, run_until_signal, served
from notifier.cli.simulation import LOOPBACK, Simulation, source_overrides, stand_in
from notifier.cli.stack import all_in_one
from notifier.config import ENV_PREFIX
from notifier.core.delivery.signing import generate_secret
from notifier.errors import UnavailableError
from notifier.telemetry import configure_logging

DEADLINE_SECONDS: Final = 60.0
SIMULATION: Final = Simulation("demo", speed=8)
CREATORS: Final = ("2244994945", "6253282", "3100000017")
SETTINGS: Final[Mapping[str, str]] = {
    "data_dir": ".",
    "host": LOOPBACK,
    "port": "0",
    "log_level": "WARNING",
    # The scenario runs eight times as fast as real time, so we poll more often.
    "poll_discovery_seconds": "0.4",
    "poll_near_seconds": "0.3",
    "poll_live_seconds": "0.3",
    "poll_scheduled_seconds": "0.4",
    "confirm_seconds": "0.5",
    # The receiver is on this machine and has no certificate.
    "allow_http": "true",
    "allowed_networks": "127.0.0.0/8",
}


def run_demo() -> int:
    """Run the demo and return the exit code: 0 if exactly the expected events arrived and verified."""
    # The settings and data of an existing installation are neither read nor changed.
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        del os.environ[name]
    configure_logging("console", SETTINGS["log_level"])
    demo = Demo(output())
    with TemporaryDirectory(prefix="space-notifier-demo-") as directory, chdir(directory):
        run_until_signal(demo.run())
    return demo.conclude()


class Demo:
    """One run of the demo."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("Starting the server, the API and a worker …")
        self._record = DemoRecord()
        self._logged: dict[str, str] = {}
        self._settled = asyncio.Event()
        self._began = time.monotonic()
        self._took = 0.0

    async def run(self) -> None:
        """Start everything, run the scenario, and stop everything when the record is settled."""
        async with AsyncExitStack() as stack:
            stack.enter_context(self._status)
            secret, key = generate_secret(secrets.token_bytes(32)), secrets.token_urlsafe()
            hook, x = (stack.enter_context(bind(LOOPBACK, 0, names="demo")) for _ in range(2))
            await stack.enter_async_context(served(create_listener(secret, self._receive), hook))
            source = await stack.enter_async_context(AsyncExitStack())
            overrides = {**SETTINGS, **source_overrides(x), "admin_key": key}
            running = await stack.enter_async_context(all_in_one(overrides, workers=1))
            api = _Api(running.url, key)
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await running.ready()
                    # The scenario starts when everything is ready, and stops after the workers, which
                    # depend on it.
                    self._began = time.monotonic()
                    await source.enter_async_context(stand_in(SIMULATION, x))
                    await api.subscribe(f"http://{LOOPBACK}:{port_of(hook)}/hook", secret)
                    self._show_progress()
                    await self._settled.wait()
            except TimeoutError:
                self._console.print(f"Timed out after {DEADLINE_SECONDS:g} s.", style="bold red")
            self._took = time.monotonic() - self._began
            self._logged = await api.logged()

    def conclude(self) -> int:
        """Print the summary and return the exit code."""
        record = self._record
        faults = record.faults(self._logged)
        for fault in faults:
            self._console.print(f"✗ {fault}", style="bold red", markup=False)
        verified = f"{record.count} of {EXPECTED_COUNT} events in {self._took:.1f} s"
        if faults:
            self._console.print(f"\n{verified}: the demo failed.", style="bold red")
            return FAILED
        delays = f"median {statistics.median(record.delays):.2f} s, longest {max(record.delays):.2f} s"
        repeats = f"; {record.repeats} arrived more than once" if record.repeats else ""
        self._console.print(
            f"\n✓ {verified}, each signature verified, each Space in sequence{repeats}.\n"
            f"  From seen to received: {delays}.",
            style="bold green",
        )
        return 0

    def _receive(self, received: Received) -> None:
        if self._record.add(received):
            line = Text(f"{time.monotonic() - self._began:5.1f} s  ", style="dim")
            line.append_text(event_line(received.body))
            good = received.refusal is None
            line.append("  ✓" if good else f"  ✗ {received.refusal}", style="green" if good else "bold red")
            self._console.print(line, soft_wrap=True)
        self._show_progress()
        if self._record.settled:
            self._settled.set()

    def _show_progress(self) -> None:
        self._status.update(f"Waiting for events: {self._record.count} of {EXPECTED_COUNT}")


class _Api:
    """The admin API as the demo uses it."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key

    async def subscribe(self, url: str, secret: str) -> None:
        """Add the endpoint first and then the watches, so that no event is missed."""
        await self._ask("POST", "/v1/endpoints", body={"url": url, "secret": secret})
        for creator in CREATORS:
            watch = {"kind": "creator", "target": creator, "on_first_sight": "announce"}
            await self._ask("POST", "/v1/watches", body=watch)

    async def logged(self) -> dict[str, str]:
        """Return the ids and types of all events of Spaces in the log."""
        page = await self._ask("GET", "/v1/events", query={"limit": "250"})
        return {event["id"]: event["type"] for event in page["data"] if "space" in event["data"]}

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        answer = await call(method, self._url + path, self._key, query=query or {}, body=body)
        if isinstance(answer, Refusal):
            raise UnavailableError(f"{method} {path}: {answer}")
        return answer
