"""``listen`` and ``simulate`` as real processes."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from standardwebhooks import Webhook

from notifier.core.catalogue_examples import example
from notifier.core.events import EventType
from tests.support.processes import NotifierProcess, free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
STARTED = json.dumps(example(EventType.STARTED))


class Listener:
    """A running ``listen`` and what stands for a sender."""

    def __init__(self, directory: Path, *options: str) -> None:
        self._port = free_port()
        arguments = ("listen", "--port", str(self._port), *options)
        self.process = NotifierProcess(*arguments, directory=directory, settings={"WEBHOOK_SECRET": SECRET})

    async def post(self, body: str, *, secret: str = SECRET) -> int:
        """Send a body, signed with ``secret``, and give the status of the answer."""
        now = datetime.now(UTC)
        headers = {
            "webhook-id": "evt_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign("evt_1", now, body),
        }
        async with aiohttp.ClientSession() as session:
            answer = await session.post(
                f"http://127.0.0.1:{self._port}/any/path", data=body.encode(), headers=headers
            )
            return answer.status


async def test_it_verifies_and_tells_what_came(tmp_path: Path) -> None:
    listener = Listener(tmp_path)
    with listener.process as process:
        await process.wait_for("listening on http://127.0.0.1:")
        assert await listener.post(STARTED) == 204
        await process.wait_for("✓ verified")
        assert "space.started" in process.output
        assert "“Say hello to the Space data object!”" in process.output
        assert await listener.post(STARTED, secret=OTHER_SECRET) == 401
        await process.wait_for("✗ no v1 entry of webhook-signature matches")
        assert await listener.post("not json") == 204
        await process.wait_for("(no JSON object)")
        process.signal(signal.SIGINT)
        assert await process.wait() == 0
        assert "Traceback" not in process.output
        assert SECRET not in process.output


async def test_as_json_only_what_verifies_is_a_result(tmp_path: Path) -> None:
    listener = Listener(tmp_path, "--json")
    with listener.process as process:
        await process.wait_for("listening")
        assert await listener.post(STARTED, secret=OTHER_SECRET) == 401
        assert await listener.post(STARTED) == 204
        await process.wait_for('{"type"')
        results = [line for line in process.output.splitlines() if not line.startswith("space-notifier: ")]
        assert [json.loads(line) for line in results] == [json.loads(STARTED)]
        assert "refused evt_1: no v1 entry" in process.output


@pytest.mark.parametrize("status", [200, 410, 500])
async def test_it_can_answer_as_told(tmp_path: Path, status: int) -> None:
    listener = Listener(tmp_path, "--status", str(status))
    with listener.process as process:
        await process.wait_for("listening")
        assert await listener.post(STARTED) == status
        assert await listener.post(STARTED, secret=OTHER_SECRET) == 401


async def test_the_stand_in_alone(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("simulate", "demo", "--port", str(port), "--contract", "legacy", "--speed", "1000000")
    with NotifierProcess(*arguments, directory=tmp_path) as process:
        await process.wait_for(f"http://127.0.0.1:{port}")
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"http://127.0.0.1:{port}/_simulator/status")
            told = await answer.json()
        assert (told["contract"], told["ended"]) == ("legacy", True)
        process.signal(signal.SIGTERM)
        assert await process.wait() == 0
