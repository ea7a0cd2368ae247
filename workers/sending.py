"""What a kind renders from: a message, its endpoint, and the endpoint's secrets in the clear."""

from __future__ import annotations

from typing import Any

from notifier.core.delivery.endpoint import Endpoint
from notifier.core.delivery.kinds.kind import Kind, Sending
from notifier.core.delivery.outcome import Answer, ErrorClass
from notifier.errors import ConfigError
from workers.context import Worker


def prepare(
    worker: Worker,
    endpoint: Endpoint,
    *,
    message_id: str,
    body: bytes,
    now: float,
    memory: str = "",
    newest: str = "",
) -> tuple[Kind[Any], Sending[Any]]:
    """Return the kind of an endpoint, and what it makes a request of.

    Args:
        worker: Who sends.
        endpoint: To which.
        message_id: The id of the event, or of the challenge.
        body: Its full payload.
        now: Epoch seconds.
        memory: What the kind remembers of the Space; empty for nothing.
        newest: The last event of the Space that waits behind this one; empty for none.

    Raises:
        ConfigError: A master key is missing, or this version does not know the kind: no fault of the
            receiver's.
    """
    kind = worker.runtime.kinds.get(endpoint.kind)
    if kind is None:
        raise ConfigError(f"this version has no kind {endpoint.kind!r}")
    opened = worker.opened(kind, endpoint)
    keys = opened.live_keys(now)
    return kind, Sending(message_id, body, endpoint, keys, opened.target, worker.source, now, memory, newest)


def unsent(detail: str) -> Answer:
    """Return the answer for a request that our own fault prevented."""
    return Answer(None, ErrorClass.LOCAL, None, 0.0, detail=detail)
