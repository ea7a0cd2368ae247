"""Command-line options for the behaviour of the stand-in."""

from __future__ import annotations

import aiohttp
import pytest
from typer.testing import CliRunner

from notifier.cli import app
from notifier.cli.serving import bind, port_of
from notifier.cli.simulation import Simulation, stand_in
from notifier.errors import ConfigError

ENDED, CALLED_OFF = "1YqKDqWqdPLsV", "1zqKVXPQhvZJB"


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ((), [ENDED, CALLED_OFF]),
        (("ended=gone",), [CALLED_OFF]),
        (("ended=gone", "canceled=gone", "ended=state"), [ENDED]),
    ],
)
async def test_options_override_the_scenario(lines: tuple[str, ...], shown: list[str]) -> None:
    listening = bind("127.0.0.1", 0, names="test")
    url = f"http://127.0.0.1:{port_of(listening)}/2/spaces?ids={ENDED},{CALLED_OFF}"
    async with (
        stand_in(Simulation("demo", speed=1e9, behaviour=lines), listening),
        aiohttp.ClientSession(trust_env=False) as session,
        session.get(url, headers={"Authorization": "Bearer token"}) as response,
    ):
        body = await response.json()
    assert [space["id"] for space in body.get("data", ())] == shown


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ended=erased"], "--x: ended: Input should be 'state' or 'gone'"),
        (["buckets"], "--x: buckets: Input should be 'separate' or 'shared'"),
        (["moods=1"], "--x: moods: "),
        (["ended=gone", "creators_per_second=many"], "--x: creators_per_second: "),
    ],
)
def test_a_bad_option_is_named(lines: list[str], message: str) -> None:
    options = [part for line in lines for part in ("--x", line)]
    # The speed is invalid, too, so that a command which ignores the options does not run forever.
    result = CliRunner().invoke(app, ["simulate", "demo", "--port", "0", "--speed", "0", *options])
    assert isinstance(result.exception, ConfigError)
    assert result.exception.message.startswith(message)
