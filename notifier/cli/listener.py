"""A receiver that verifies webhooks, used by ``listen`` and the demo."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from rich.text import Text

from notifier.cli.console import output, report
from notifier.cli.event_lines import event_line
from notifier.cli.serving import bind, port_of, served
from notifier.core.delivery.challenge import respond, token_of
from notifier.core.delivery.signing import parse_verification_key, verify, verifying_secret
from notifier.errors import SignatureError

MAX_BODY_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """One request: ``refusal`` says why it does not verify, ``body`` is None if it is not a JSON object."""

    event_id: str
    body: dict[str, Any] | None
    refusal: str | None
    received_at: float


def create_listener(
    secret: str, on_received: Callable[[Received], None], *, status: int = HTTPStatus.NO_CONTENT
) -> web.Application:
    """Return a receiver: POST on any path; 401 if the signature does not verify, else ``status``.

    A challenge that verifies is answered with 200.

    Args:
        secret: ``whsec_``, or either key of a pair, ``whpk_`` or ``whsk_``.
        on_received: Called with every request.
        status: What to answer.

    Raises:
        SecretFormError: ``secret`` is malformed.
    """
    secret = verifying_secret(secret)
    parse_verification_key(secret)

    async def receive(request: web.Request) -> web.Response:
        raw = await request.read()
        now = time.time()
        refusal = _refusal(secret, request, raw, now)
        event_id = request.headers.get("webhook-id", "")
        document = _json_object(raw)
        on_received(Received(event_id, document, refusal, now))
        if refusal is not None:
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        response = _response(secret, document)
        if response is not None:
            return web.json_response({"response": response})
        return web.Response(status=status)

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/{path:.*}", receive)
    return app


async def run_listener(secret: str, *, host: str, port: int, status: int, as_json: bool) -> None:
    """Listen and print until cancelled.

    With ``as_json`` only bodies that verify are printed, one per line, and refusals go to standard error, so
    a program that reads the lines may trust them.
    """
    console = output()

    def show(received: Received) -> None:
        if not as_json:
            console.print(received_line(received), soft_wrap=True)
        elif received.refusal is not None:
            report(f"refused {received.event_id or 'a request'}: {received.refusal}")
        else:
            console.print(json.dumps(received.body), markup=False, soft_wrap=True)

    app = create_listener(secret, show, status=status)
    with bind(host, port, names="--host, --port") as listening:
        async with served(app, listening):
            address = f"[{host}]" if ":" in host else host
            report(f"listening on http://{address}:{port_of(listening)}")
            await asyncio.Event().wait()


def received_line(received: Received) -> Text:
    """Return one request as a line for people: when, what, and whether it verifies."""
    clock = datetime.fromtimestamp(received.received_at).astimezone().strftime("%H:%M:%S.%f")[:-3]
    line = Text(f"{clock}  ", style="dim")
    line.append_text(event_line(received.body))
    if received.refusal is None:
        return line.append("  ✓ verified", style="green")
    return line.append(f"  ✗ {received.refusal}", style="bold red")


def _refusal(secret: str, request: web.Request, raw: bytes, now: float) -> str | None:
    try:
        verify(secret, request.headers, raw, now=now)
    except SignatureError as error:
        return error.message
    return None


def _response(secret: str, document: dict[str, Any] | None) -> str | None:
    """Return the answer to a challenge; None if it is not one or only the public key is known."""
    token = token_of(document)
    return None if token is None else respond(secret, token)


def _json_object(raw: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
