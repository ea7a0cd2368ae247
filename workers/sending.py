"""Signing a message for an endpoint and sending it: an event, or a challenge."""

from __future__ import annotations

from typing import NamedTuple

from notifier.core.delivery.endpoint import Endpoint
from notifier.core.delivery.outcome import Answer, ErrorClass
from notifier.core.delivery.request import Content, build_request
from notifier.core.delivery.signing import SigningKey
from notifier.errors import ConfigError
from workers.context import Worker


class Sent(NamedTuple):
    """What came back, and the keys that signed; none where nothing was sent for want of them."""

    answer: Answer
    keys: list[SigningKey]


async def send(worker: Worker, endpoint: Endpoint, message_id: str, content: Content, *, now: float) -> Sent:
    """Sign a message with every live secret of an endpoint and send it.

    Args:
        worker: Who sends.
        endpoint: To which.
        message_id: The ``webhook-id``.
        content: The body and its type.
        now: Epoch seconds.

    Returns:
        The answer; a local failure where a master key is missing, which is no fault of the receiver's.
    """
    try:
        keys = worker.signing_keys(endpoint, now=now)
    except ConfigError as error:
        return Sent(Answer(None, ErrorClass.LOCAL, None, 0.0, detail=error.message), [])
    request = build_request(
        url=endpoint.url,
        event_id=message_id,
        body=content.body,
        content_type=content.content_type,
        keys=keys,
        timestamp=int(now),
        extra_headers=endpoint.headers,
    )
    return Sent(await worker.client.send(request), keys)
