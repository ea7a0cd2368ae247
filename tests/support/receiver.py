"""A webhook receiver on loopback that records requests, verifies them and answers as scripted."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One received request.

    ``headers`` have lower-case names; ``json`` is None if the body is not JSON; ``received_at`` is in Unix
    seconds; ``verified`` is None if the path has no secret.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    json: Any
    received_at: float
    verified: bool | None

    @property
    def event_id(self) -> str:
        """The ``webhook-id``, empty if none was sent."""
        return self.headers.get("webhook-id", "")


@dataclass(slots=True)
class Script:
    """The answers of a path: each status once, then the last one again and again."""

    statuses: list[int] = field(default_factory=lambda: [200])
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Callable[[bytes], bytes] = b""

    def next_status(self) -> int:
        """Return the next status; the last one repeats."""
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


class Receiver:
    """An HTTP server on a free port of 127.0.0.1; every path answers 200 unless scripted.

    >>> async with Receiver() as receiver:
    ...     receiver.verify("/hook", "whsec_…")
    ...     receiver.answer("/hook", statuses=[500, 500, 200])
    ...     await receiver.wait_for("/hook", 3)
    """

    def __init__(self, *, port: int = 0) -> None:
        self._wanted_port = port
        self._secrets: dict[str, list[str]] = defaultdict(list)
        self._scripts: dict[str, Script] = defaultdict(Script)
        self._received: dict[str, list[ReceivedRequest]] = defaultdict(list)
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._wanted_port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, path: str = "/hook") -> str:
        """Return the absolute URL of ``path``."""
        return f"http://127.0.0.1:{self.port}{path}"

    def verify(self, path: str, *secrets: str) -> None:
        """Verify requests to ``path`` from now on; one passes if any of ``secrets`` verifies it."""
        self._secrets[path] = list(secrets)

    def answer(
        self,
        path: str,
        *,
        statuses: Sequence[int] = (200,),
        delay: float = 0.0,
        headers: Mapping[str, str] | None = None,
        body: bytes | Callable[[bytes], bytes] = b"",
    ) -> None:
        """Script the answers of ``path``: each status once, the last one repeatedly, after ``delay`` seconds.

        If ``body`` is a function, it maps the request body to the response body.
        """
        self._scripts[path] = Script(list(statuses), delay, dict(headers or {}), body)

    def received(self, path: str | None = None) -> list[ReceivedRequest]:
        """Return the requests to ``path`` so far, oldest first; to all paths if None."""
        if path is not None:
            return list(self._received[path])
        return sorted((r for got in self._received.values() for r in got), key=lambda r: r.received_at)

    def clear(self) -> None:
        """Discard the received requests; scripts and secrets stay."""
        self._received.clear()

    async def wait_for(
        self,
        path: str,
        count: int = 1,
        timeout: float = 30.0,  # noqa: ASYNC109  passed to wait_until, which polls
    ) -> list[ReceivedRequest]:
        """Wait for at least ``count`` requests to ``path``, and return all of them.

        Raises:
            AssertionError: They did not arrive within ``timeout`` seconds.
        """
        await wait_until(
            lambda: len(self._received[path]) >= count,
            timeout=timeout,
            message=lambda: f"{path} got {len(self._received[path])} of {count} requests",
        )
        return self.received(path)

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        secrets = self._secrets.get(request.path)
        self._received[request.path].append(
            ReceivedRequest(
                method=request.method,
                path=request.path,
                headers=headers,
                body=body,
                json=_json_or_none(body),
                received_at=time.time(),
                verified=any(_verifies(s, headers, body) for s in secrets) if secrets else None,
            )
        )
        script = self._scripts[request.path]
        status = script.next_status()
        if script.delay:
            await asyncio.sleep(script.delay)
        answer = script.body if isinstance(script.body, bytes) else script.body(body)
        return web.Response(status=status, headers=script.headers, body=answer)


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _verifies(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    if secret.startswith("whpk_"):
        return _verifies_ed25519(secret, headers, body)
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: the library's error for a malformed entry
        return False
    return True


def _verifies_ed25519(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Verify a ``v1a`` entry, which the standardwebhooks library does not know."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret.removeprefix("whpk_")))
    content = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.".encode() + body
    for entry in headers.get("webhook-signature", "").split():
        version, _, signature = entry.partition(",")
        if version != "v1a":
            continue
        try:
            key.verify(base64.b64decode(signature), content)
        except InvalidSignature:
            continue
        return True
    return False
