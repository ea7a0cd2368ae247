"""What ``up``, ``api`` and ``simulate`` do until they are stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from notifier.cli.console import output
from notifier.cli.serving import bind, port_of, served
from notifier.cli.stack import all_in_one, serve_api
from notifier.config import load_settings
from notifier.errors import ConfigError
from notifier.runtime import Runtime, make_admin_key, report_concerns
from notifier.simulator import Contract, create_simulator, load_scenario, read_behaviour
from notifier.telemetry import configure_logging

LOOPBACK: Final = "127.0.0.1"
ANY_TOKEN: Final = "stand-in"  # noqa: S105  the stand-in accepts any token

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the stand-in runs: a scenario's name or file, the contract, the speed, and ``--x``."""

    scenario: str
    contract: str = Contract.CURRENT
    speed: float = 1.0
    behaviour: tuple[str, ...] = ()


@asynccontextmanager
async def stand_in(simulation: Simulation, listening: socket.socket) -> AsyncIterator[None]:
    """Serve the stand-in for X; the scenario starts now.

    Raises:
        ConfigError: The contract, the speed or the behaviour is invalid.
        ScenarioError: The scenario cannot be read.
    """
    try:
        contract = Contract(simulation.contract)
    except ValueError:
        names = " or ".join(Contract)
        raise ConfigError(f"--contract: must be {names}, not {simulation.contract}") from None
    scenario = load_scenario(simulation.scenario)
    lines = (line.partition("=") for line in simulation.behaviour)
    behaviour = read_behaviour(scenario.x, {name: value for name, _, value in lines}, source="--x")
    app = create_simulator(scenario, contract=contract, speed=simulation.speed, behaviour=behaviour)
    async with served(app, listening):
        yield


def source_overrides(listening: socket.socket) -> dict[str, str]:
    """Return the settings that make a stand-in the source."""
    return {"x_api_url": f"http://{LOOPBACK}:{port_of(listening)}", "x_bearer_token": ANY_TOKEN}


async def run_up(*, workers: int, simulation: Simulation | None) -> None:
    """Run all in one until cancelled."""
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    overrides: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        if simulation is not None:
            listening = stack.enter_context(bind(LOOPBACK, 0, names="--simulate"))
            overrides = source_overrides(listening)
            await stack.enter_async_context(stand_in(simulation, listening))
            log.info("simulating", scenario=simulation.scenario, url=overrides["x_api_url"])
        running = await stack.enter_async_context(all_in_one(overrides, workers=workers))
        await report_concerns(running.runtime.store)
        await _show_admin_key(running.runtime)
        if running.runtime.settings.x_bearer_token is None:
            log.warning("not_observing", reason="nothing is observed until NOTIFIER_X_BEARER_TOKEN is set")
        await running.ready()
        log.info("ready", url=running.url)
        await _for_ever()


async def run_api() -> None:
    """Run one API process until cancelled."""
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    async with serve_api(settings) as runtime:
        await report_concerns(runtime.store)
        await _show_admin_key(runtime)
        log.info("serving", url=runtime.settings.base_url)
        await _for_ever()


async def run_simulator(simulation: Simulation, *, host: str, port: int) -> None:
    """Run only the stand-in until cancelled."""
    with bind(host, port, names="--host, --port") as listening:
        async with stand_in(simulation, listening):
            address = f"[{host}]" if ":" in host else host
            output().print(
                f"Running {simulation.scenario} at speed {simulation.speed:g} "
                f"on http://{address}:{port_of(listening)}",
                markup=False,
            )
            await _for_ever()


async def _show_admin_key(runtime: Runtime) -> None:
    """Show the key that the first start creates, once."""
    key = await make_admin_key(runtime)
    if key is None:
        return
    console = output()
    console.print("\n[bold]The admin key, shown only once; only its hash is stored:[/bold]\n")
    console.print(f"    {key}\n", markup=False, soft_wrap=True)
    console.print("Use it as NOTIFIER_ADMIN_KEY or as a bearer token.\n")


async def _for_ever() -> None:
    await asyncio.Event().wait()
