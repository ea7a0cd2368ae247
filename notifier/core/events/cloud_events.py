"""CloudEvents 1.0 as structured JSON: the same ``data`` in the envelope that event routers read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from notifier.core.events.event import canonical, within_limit
from notifier.core.model.instants import RFC_3339, instant, rfc3339

CONTENT_TYPE: Final = "application/cloudevents+json"
SPEC_VERSION: Final = "1.0"
TYPE_PREFIX: Final = "com.x."


def cloud_event(body: bytes, *, source: str) -> bytes:
    """Return a payload, full or thin, in the envelope of a CloudEvent of less than 20 kB.

    Args:
        body: The payload as it is logged: ``type``, ``timestamp`` and ``data`` with the event's ``id``.
        source: Where users reach this installation; together with the id it identifies the event.
    """
    payload = json.loads(body)
    data = payload["data"]
    envelope: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": data["id"],
        "source": source,
        "type": TYPE_PREFIX + payload["type"],
    }
    if "space" in data:
        envelope["subject"] = data["space"]["id"]
    envelope |= {"time": _time(payload["timestamp"]), "datacontenttype": "application/json"}

    def write(kept: Mapping[str, Any]) -> bytes:
        return canonical({**envelope, "data": kept}).encode()

    return within_limit(data, write)


def _time(timestamp: str) -> str:
    """Return a timestamp with an offset even if X left it out, because CloudEvents requires RFC 3339."""
    found = RFC_3339.fullmatch(timestamp)
    moment = None if found is None or found[2] else instant(timestamp)
    return timestamp if moment is None else rfc3339(moment)
