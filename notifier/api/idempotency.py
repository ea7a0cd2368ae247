"""``Idempotency-Key``: the same POST sent again gets the stored answer and does nothing.

Only answers of success are stored: a refused request changed nothing and may be corrected under the same key.
What is stored is encrypted, because some answers show a signing secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import web

from notifier.api.bodies import Document
from notifier.errors import FieldError, InvalidInputError, UnavailableError
from notifier.http.reply import Reply
from notifier.runtime import Runtime
from notifier.store import StoredAnswer

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
MAX_KEY_CHARS: Final = 255

log = structlog.get_logger(__name__)


def read_key(request: web.Request) -> str | None:
    """Return the request's key, None where it has none.

    Raises:
        InvalidInputError: The key is not 1 to 255 printable ASCII characters.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARS or not (key.isascii() and key.isprintable()):
        msg = f"must be 1 to {MAX_KEY_CHARS} printable ASCII characters"
        raise InvalidInputError(f"{HEADER}: {msg}", FieldError(("header", HEADER), msg))
    return key


def fingerprint(method: str, path: str, document: Document) -> str:
    """Return the fingerprint of a request; the order of the names in the body does not matter."""
    content = json.dumps([method, path, document], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


async def answer_once(
    runtime: Runtime, key: str, mark: str, *, status: int, make: Callable[[], Awaitable[Reply[Any]]]
) -> tuple[Reply[Any], bool]:
    """Return the answer to a POST, new or stored; the flag says which.

    Raises:
        IdempotencyKeyReusedError: The key was used for another request.
        IdempotencyInProgressError: It is in use for this one at this moment.
    """
    answers = runtime.store.idempotency
    stored = await answers.begin(key, mark)
    if stored is not None:
        return _unpack(runtime, stored), True
    try:
        reply = await make()
    except Exception:
        await _unless_down(answers.abandon(key), "api.idempotency_not_released")
        raise
    # The work is done: a failure to remember the answer must not look like a failure of the request.
    await _unless_down(answers.finish(key, mark, _pack(runtime, reply, status)), "api.idempotency_not_stored")
    return reply, False


def _pack(runtime: Runtime, reply: Reply[Any], status: int) -> StoredAnswer:
    content = json.dumps([reply.body.decode(), reply.location, reply.etag])
    return StoredAnswer(status, runtime.secrets.seal(content).encode(), reply.content_type)


def _unpack(runtime: Runtime, stored: StoredAnswer) -> Reply[Any]:
    body, location, *etags = json.loads(runtime.secrets.open(stored.body.decode()))
    etag = etags[0] if etags else None  # earlier versions kept none
    return Reply(body=body.encode(), content_type=stored.content_type, location=location, etag=etag)


async def _unless_down(step: Awaitable[None], event: str) -> None:
    try:
        await step
    except UnavailableError as error:
        log.warning(event, reason=error.message)
