"""What one attempt sends: the signed request, and which headers an endpoint may add to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from notifier import __version__
from notifier.core.delivery.endpoint import PayloadFormat
from notifier.core.delivery.outcome import RECORDED
from notifier.core.delivery.signing import sign
from notifier.core.events.cloud_events import CONTENT_TYPE, cloud_event
from notifier.core.events.event import PayloadForm, thin
from notifier.errors import FieldError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notifier.core.delivery.endpoint import Endpoint
    from notifier.core.delivery.outcome import Excerpt
    from notifier.core.delivery.signing import SigningKey

USER_AGENT: Final = f"space-notifier/{__version__}"

JSON: Final = "application/json"

MAX_CUSTOM_HEADERS: Final = 32
MAX_HEADER_VALUE_CHARS: Final = 4096

RESERVED_HEADERS: Final = frozenset(
    {
        # what the Standard Webhooks specification and this product say about the event
        "content-encoding",
        "content-length",
        "content-type",
        "user-agent",
        # what belongs to the connection or to the way there (RFC 9110 section 7.6.1, RFC 9112)
        "accept-encoding",
        "connection",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # deliveries carry no session
        "cookie",
        "cookie2",
        "set-cookie",
    }
)

RESERVED_PREFIX: Final = "webhook-"
"""The prefix of all headers of Standard Webhooks, present and future."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")  # RFC 9110 section 5.6.2
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")


class DeliveryRequest(NamedTuple):
    """A request ready to go out: ``headers`` have lower-case names, ``body`` is exactly what was signed.

    ``method`` is any but HEAD and CONNECT, whose answers end elsewhere; ``excerpt`` says how much of the
    answer is read.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    excerpt: Excerpt = RECORDED


class Content(NamedTuple):
    """A body as it goes over the wire, and what it is."""

    body: bytes
    content_type: str


def content_for(endpoint: Endpoint, payload: bytes, *, source: str) -> Content:
    """Write a payload in the form and the format that an endpoint has chosen.

    Args:
        endpoint: That it goes to.
        payload: The full payload, as it is logged.
        source: Where users reach this installation, for CloudEvents.
    """
    body = thin(payload) if endpoint.payload is PayloadForm.THIN else payload
    return in_format(endpoint, body, source=source)


def in_format(endpoint: Endpoint, body: bytes, *, source: str) -> Content:
    """Write a payload, as full as it is to be, in the format that an endpoint has chosen."""
    if endpoint.format is PayloadFormat.CLOUDEVENTS:
        return Content(cloud_event(body, source=source), CONTENT_TYPE)
    return Content(body, JSON)


def build_request(
    *,
    url: str,
    event_id: str,
    body: bytes,
    content_type: str,
    keys: Sequence[SigningKey],
    timestamp: int,
    extra_headers: Mapping[str, str] | None = None,
) -> DeliveryRequest:
    """Sign ``body`` and put the request of one attempt together.

    Args:
        url: Of the endpoint.
        event_id: The same on every attempt, so that a receiver can drop what it has seen.
        body: The payload as it goes over the wire.
        content_type: ``application/json``, or that of CloudEvents.
        keys: Every live secret of the endpoint, the newest first.
        timestamp: Unix seconds of this attempt.
        extra_headers: The endpoint's own; a reserved name among them is left out.
    """
    headers = {
        "content-type": content_type,
        "user-agent": USER_AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(keys, event_id, timestamp, body),
    }
    if extra_headers:
        for name, value in extra_headers.items():
            if not _is_reserved(lowered := name.lower()):
                headers[lowered] = value
    return DeliveryRequest(url, headers, body)


def check_custom_headers(headers: Mapping[str, str]) -> None:
    """Check the headers that an endpoint wants on each request.

    Raises:
        InvalidInputError: There are too many, or one is no valid header or is reserved; each is named.
    """
    if len(headers) > MAX_CUSTOM_HEADERS:
        raise InvalidInputError.of("headers", f"at most {MAX_CUSTOM_HEADERS} headers can be added")
    problems: list[FieldError] = []
    seen: set[str] = set()
    for name, value in headers.items():
        if problem := _header_problem(name, value, seen):
            problems.append(FieldError(("body", "headers", name), problem))
        seen.add(name.lower())
    if problems:
        text = "; ".join(f"headers.{problem.loc[-1]!r}: {problem.msg}" for problem in problems)
        raise InvalidInputError(text, *problems)


def _is_reserved(lowered: str) -> bool:
    return lowered in RESERVED_HEADERS or lowered.startswith(RESERVED_PREFIX)


def _header_problem(name: str, value: str, seen: set[str]) -> str | None:
    """Return what is wrong with one header without quoting its value, which may be a credential."""
    if not _TOKEN.fullmatch(name):
        return "a name is 1 to 128 letters, digits or any of !#$%&'*+-.^_`|~"
    if _is_reserved(name.lower()):
        return "this name is reserved; choose another one"
    if name.lower() in seen:
        return "this name is given twice; header names ignore case"
    if len(value) > MAX_HEADER_VALUE_CHARS:
        return f"the value has more than {MAX_HEADER_VALUE_CHARS} characters"
    if not _VALUE.fullmatch(value):
        return "the value may hold printable ASCII only, without line breaks or space around it"
    return None
