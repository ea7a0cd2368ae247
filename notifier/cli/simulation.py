"""The stand-in for X: alone, and as the source of an installation."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from notifier.cli.console import output
from notifier.cli.serving import bind, for_ever, port_of, served
from notifier.errors import ConfigError
from notifier.simulator import Contract, create_simulator, load_scenario, read_behaviour

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


@asynccontextmanager
async def simulated_source(simulation: Simulation) -> AsyncIterator[dict[str, str]]:
    """Serve the stand-in on a free port, and yield the settings that make it the source."""
    with bind(LOOPBACK, 0, names="--simulate") as listening:
        overrides = source_overrides(listening)
        async with stand_in(simulation, listening):
            log.info("simulating", scenario=simulation.scenario, url=overrides["x_api_url"])
            yield overrides


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
            await for_ever()
