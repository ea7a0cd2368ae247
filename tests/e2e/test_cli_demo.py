"""``demo``, as run by ``make demo``."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from notifier.cli.demo_record import EXPECTED, EXPECTED_COUNT
from tests.support.commands import run_command
from tests.support.processes import NotifierProcess
from tests.support.wait import wait_until


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A directory with settings that would break the demo if it read them."""
    (tmp_path / ".env").write_text("NOTIFIER_POLL_DISCOVERY_SECONDS=100000\n")
    return tmp_path


def test_the_demo_delivers_every_event_and_exits_0(installation: Path) -> None:
    done = run_command("demo", REDIS_URL="redis://127.0.0.1:1", PORT="none", ALLOW_HTTP="false")
    assert done.code == 0, done.output + done.errors
    printed = re.findall(r"^ *[\d.]+ s +(space\.\w+) .* ✓$", done.output, re.MULTILINE)
    assert sorted(printed) == sorted(event for events in EXPECTED.values() for event in events)
    assert f"{EXPECTED_COUNT} of {EXPECTED_COUNT} events" in done.output
    assert "Traceback" not in done.output + done.errors
    assert _names_in(installation) == {".env"}


async def test_a_demo_that_is_stopped_says_what_is_missing_and_leaves_nothing_behind(
    installation: Path,
) -> None:
    own = installation / "temporary"
    own.mkdir()
    variables = {"TMPDIR": str(own)}
    with NotifierProcess("demo", directory=installation, variables=variables, name="demo") as demo:
        await wait_until(lambda: list(own.glob("*/valkey/url")))
        demo.signal(signal.SIGTERM)
        assert await demo.wait() == 1
    assert f"0 of {EXPECTED_COUNT} events" in demo.output
    assert "the demo failed" in demo.output
    assert "Traceback" not in demo.output
    assert list(own.iterdir()) == []


def _names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}
