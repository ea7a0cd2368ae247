"""Commands that start something: all in one, single processes, the stand-in for X, the demo."""
# ruff: noqa: PLC0415 - each command loads only what it needs

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Speed: TypeAlias = Annotated[float, typer.Option(help="Seconds of the scenario in one real second.")]
ContractName: TypeAlias = Annotated[
    str, typer.Option("--contract", help="The version of X's API: current or legacy.")
]

BehaviourLines: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--x",
        metavar="NAME=VALUE",
        help="How X behaves, overriding the scenario: ended=gone, canceled=gone, buckets=shared, "
        "creators_per_second=0; repeatable.",
    ),
]


def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    simulation: Annotated[
        str | None,
        typer.Option(
            "--simulate", metavar="SCENARIO", help="Watch a stand-in for X that runs this scenario."
        ),
    ] = None,
    speed: Speed = 1.0,
    contract: ContractName = "current",
    x: BehaviourLines = None,
) -> None:
    """Run API, workers and an embedded server in one.

    The server of NOTIFIER_REDIS_URL is used instead of the embedded one if it is set.
    """
    from notifier.cli.serving import run_until_signal
    from notifier.cli.up import run_up

    if simulation is None:
        run_until_signal(run_up(workers=workers))
        return
    from notifier.cli.simulation import Simulation, simulated_source

    source = simulated_source(Simulation(simulation, contract, speed, tuple(x or ())))
    run_until_signal(run_up(workers=workers, source=source))


def api() -> None:
    """Run one API process."""
    from notifier.cli.serving import run_until_signal
    from notifier.cli.up import run_api

    run_until_signal(run_api())


def worker(
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run one worker process."""
    import asyncio

    from notifier.cli.worker import check_start, end_with_supervisor
    from notifier.config import load_settings
    from notifier.telemetry import configure_logging
    from workers.settings import run_worker

    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    if supervised:
        end_with_supervisor()
    asyncio.run(check_start(settings))
    run_worker(settings)


def simulate(
    scenario: Annotated[
        str, typer.Argument(help="A bundled scenario (demo, day, storm, bad-days) or a file.")
    ],
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 takes a free one.")
    ] = 8090,
    speed: Speed = 1.0,
    contract: ContractName = "current",
    x: BehaviourLines = None,
) -> None:
    """Run only the stand-in for X's API.

    docs/simulator.md describes scenarios.
    """
    from notifier.cli.serving import run_until_signal
    from notifier.cli.simulation import Simulation, run_simulator

    simulation = Simulation(scenario, contract, speed, tuple(x or ()))
    run_until_signal(run_simulator(simulation, host=host, port=port))


def demo() -> None:
    """Play two minutes of Spaces through the whole pipeline.

    It takes 15 seconds, and what arrives is checked.
    """
    from notifier.cli.demo import run_demo

    raise typer.Exit(run_demo())
