"""``demo``, as run by ``make demo``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from notifier.cli.demo_record import EXPECTED, EXPECTED_COUNT
from tests.support.processes import NotifierProcess


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A directory with settings that would break the demo if it read them."""
    (tmp_path / ".env").write_text("NOTIFIER_POLL_DISCOVERY_SECONDS=100000\n")
    return tmp_path


async def test_the_demo_delivers_every_event_and_exits_0(installation: Path) -> None:
    settings = {"REDIS_URL": "redis://127.0.0.1:1", "PORT": "none", "ALLOW_HTTP": "false"}
    with NotifierProcess("demo", directory=installation, settings=settings, name="demo") as demo:
        assert await demo.wait(timeout=90) == 0, demo.output
    printed = re.findall(r"^ *[\d.]+ s +(space\.\w+) .* ✓$", demo.output, re.MULTILINE)
    assert sorted(printed) == sorted(event for events in EXPECTED.values() for event in events)
    assert f"{EXPECTED_COUNT} of {EXPECTED_COUNT} events" in demo.output
    assert "Traceback" not in demo.output
    assert _names_in(installation) == {".env", "demo.log"}


def _names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}
