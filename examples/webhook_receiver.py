"""A webhook receiver: it verifies, drops duplicates, handles the event, and answers.

    WEBHOOK_SECRET=whsec_… python examples/webhook_receiver.py

It listens on http://127.0.0.1:9000/hooks/spaces. Requires aiohttp and standardwebhooks. It also answers the
challenge of an endpoint that was added with "verify": "challenge".
"""

from __future__ import annotations

import base64
import hmac
import os
from collections import OrderedDict
from typing import Any, Final

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

PATH: Final = "/hooks/spaces"
REMEMBERED: Final = 10_000
"""How many ids are remembered. A receiver with a database can use the id as a unique key instead."""


def handle(event: dict[str, Any]) -> None:
    """Handle an event; here it is printed."""
    space = event["data"].get("space", {})
    print(event["type"], space.get("id", ""), space.get("title", ""), flush=True)  # noqa: T201 - the output


class Receiver:
    """Receives webhooks that are signed with one secret."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def receive(self, request: web.Request) -> web.Response:
        """Answer 204 to new and repeated events, and 401 to what does not verify."""
        body = await request.read()  # the raw bytes: parsed and re-encoded JSON does not verify
        try:
            event = self._webhook.verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError):  # ValueError: a malformed header
            return web.Response(status=401)
        if event["type"] == "webhook.challenge":
            return web.json_response({"response": self._proof(event["data"]["token"])})
        event_id = request.headers["webhook-id"]  # the same on every attempt
        if event_id not in self._seen:
            handle(event)  # if this fails the answer is 500, and the event is sent again
            self._seen[event_id] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return web.Response(status=204)

    def _proof(self, token: str) -> str:
        """Return the proof that we know the secret; call it only for verified requests."""
        digest = hmac.digest(self._key, token.encode(), "sha256")
        return "sha256=" + base64.b64encode(digest).decode()


def create_app(secret: str) -> web.Application:
    """Return the receiver as an application."""
    app = web.Application()
    app.router.add_post(PATH, Receiver(secret).receive)
    return app


if __name__ == "__main__":
    web.run_app(create_app(os.environ["WEBHOOK_SECRET"]), host="127.0.0.1", port=9000)
