"""``webhook``: a signed POST of the event to a URL of the subscriber's, by Standard Webhooks."""

from __future__ import annotations

from typing import Final

from notifier.core.delivery.endpoint import WEBHOOK as NAME
from notifier.core.delivery.kinds.kind import Kind, Reading, Sending
from notifier.core.delivery.outcome import Answer, classify
from notifier.core.delivery.request import Content, DeliveryRequest, build_request, content_for, in_format


def _render(sending: Sending[None]) -> DeliveryRequest:
    return _signed(sending, content_for(sending.endpoint, sending.body, source=sending.source))


def _challenge(sending: Sending[None]) -> DeliveryRequest:
    return _signed(sending, in_format(sending.endpoint, sending.body, source=sending.source))


def _signed(sending: Sending[None], content: Content) -> DeliveryRequest:
    return build_request(
        url=sending.endpoint.url,
        event_id=sending.message_id,
        body=content.body,
        content_type=content.content_type,
        keys=sending.keys,
        timestamp=int(sending.now),
        extra_headers=sending.endpoint.headers,
    )


def _read(_sending: Sending[None], answer: Answer, now: float) -> Reading:
    return Reading(classify(answer, now=now))


WEBHOOK: Final[Kind[None]] = Kind(name=NAME, target=None, render=_render, read=_read, challenge=_challenge)
