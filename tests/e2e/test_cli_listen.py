"""``listen`` and ``simulate``: each once as a real process, and their options in this one."""

from __future__ import annotations

import base64
import hmac
import json
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import aiohttp
import pytest
from standardwebhooks import Webhook

from notifier.core.delivery.signing import generate_private_key, parse_signing_key, receiver_secret, sign
from notifier.core.events.catalogue import ROWS
from notifier.core.events.event import EventType
from notifier.core.events.examples import example
from tests.support.commands import Done, Running, run_command_beside
from tests.support.processes import NotifierProcess, free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
STARTED = json.dumps(example(ROWS[EventType.STARTED]))


class Listener:
    """Sends requests to ``listen`` at a port."""

    def __init__(self) -> None:
        self.port = free_port()

    async def post(self, body: str, *, secret: str = SECRET) -> int:
        """Send a body signed with ``secret``, and return the status of the response."""
        return (await self.ask(body, secret=secret))[0]

    async def ask(self, body: str, *, secret: str = SECRET) -> tuple[int, bytes]:
        """Send a body signed with ``secret``, and return status and body of the response."""
        now = datetime.now(UTC)
        headers = {
            "webhook-id": "evt_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign("evt_1", now, body),
        }
        async with aiohttp.ClientSession() as session:
            answer = await session.post(
                f"http://127.0.0.1:{self.port}/any/path", data=body.encode(), headers=headers
            )
            return answer.status, await answer.read()


Visit: TypeAlias = Callable[[Listener, Running], Awaitable[None]]


def listen(visit: Visit, *options: str, secret: str = SECRET) -> Done:
    """Run ``listen`` in this process until ``visit`` has returned, then end it as Ctrl-C does."""
    listener = Listener()

    async def begin(running: Running) -> None:
        await running.wait_for(f"listening on http://127.0.0.1:{listener.port}")
        await visit(listener, running)

    done = run_command_beside(
        begin, "listen", "--port", str(listener.port), *options, number=signal.SIGINT, WEBHOOK_SECRET=secret
    )
    assert done.code == 0
    return done


async def test_listen_verifies_and_prints_requests(tmp_path: Path) -> None:
    listener = Listener()
    arguments = ("listen", "--port", str(listener.port))
    with NotifierProcess(*arguments, directory=tmp_path, settings={"WEBHOOK_SECRET": SECRET}) as process:
        await process.wait_for("listening on http://127.0.0.1:")
        assert await listener.post(STARTED) == 204
        await process.wait_for("✓ verified")
        assert "space.started" in process.output
        assert "“Say hello to the Space data object!”" in process.output
        assert await listener.post(STARTED, secret=OTHER_SECRET) == 401
        await process.wait_for("✗ no v1 entry of webhook-signature matches")
        assert await listener.post("not json") == 204
        await process.wait_for("(not a JSON object)")
        process.signal(signal.SIGINT)
        assert await process.wait() == 0
        assert "Traceback" not in process.output
        assert SECRET not in process.output


def test_json_output_contains_only_verified_events() -> None:
    async def visit(listener: Listener, running: Running) -> None:
        assert await listener.post(STARTED, secret=OTHER_SECRET) == 401
        assert await listener.post(STARTED) == 204
        await running.wait_for('{"type"')

    done = listen(visit, "--json")
    assert [json.loads(line) for line in done.output.splitlines()] == [json.loads(STARTED)]
    assert "refused evt_1: no v1 entry" in done.errors


@pytest.mark.parametrize("status", [200, 410, 500])
def test_listen_can_answer_with_a_given_status(status: int) -> None:
    async def visit(listener: Listener, _running: Running) -> None:
        assert await listener.post(STARTED) == status
        assert await listener.post(STARTED, secret=OTHER_SECRET) == 401

    listen(visit, "--status", str(status))


@pytest.mark.parametrize("prefix", ["", "com.x."])
def test_listen_answers_signed_challenges(prefix: str) -> None:
    challenge = json.dumps({"type": f"{prefix}webhook.challenge", "data": {"token": "a-token"}})

    async def visit(listener: Listener, running: Running) -> None:
        assert await listener.ask(challenge, secret=OTHER_SECRET) == (401, b"")
        status, body = await listener.ask(challenge)
        assert status == 200
        raw = base64.b64decode(SECRET.removeprefix("whsec_"))
        digest = base64.b64encode(hmac.digest(raw, b"a-token", "sha256")).decode()
        assert json.loads(body) == {"response": f"sha256={digest}"}
        await running.wait_for("webhook.challenge")

    listen(visit, "--status", "503")


@pytest.mark.parametrize("secret_of", [str, receiver_secret])
def test_either_half_of_a_pair_of_keys_verifies(secret_of: Callable[[str], str]) -> None:
    private = generate_private_key(bytes(range(32)))

    async def visit(listener: Listener, _running: Running) -> None:
        at = int(time.time())
        headers = {
            "webhook-id": "evt_1",
            "webhook-timestamp": str(at),
            "webhook-signature": sign([parse_signing_key(private)], "evt_1", at, STARTED.encode()),
        }
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{listener.port}/"
            assert (await session.post(url, data=STARTED.encode(), headers=headers)).status == 204
            assert (await session.post(url, data=b"{}", headers=headers)).status == 401

    listen(visit, secret=secret_of(private))


async def test_simulate_runs_the_stand_in_alone(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("simulate", "demo", "--port", str(port), "--contract", "legacy", "--speed", "1000000")
    with NotifierProcess(*arguments, directory=tmp_path) as process:
        await process.wait_for(f"http://127.0.0.1:{port}")
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"http://127.0.0.1:{port}/_simulator/status")
            document = await answer.json()
        assert (document["contract"], document["ended"]) == ("legacy", True)
        process.signal(signal.SIGTERM)
        assert await process.wait() == 0
