"""Occasions: what distinguishes an event that changes no field from others of its Space and type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from notifier.core.model.instants import instant

REMINDER: Final = "reminder"
OVERDUE: Final = "overdue"


def occasion(what: str, start: float) -> str:
    """Return the occasion of an event that may be sent once per planned start."""
    return f"{what}@{start:.3f}"


def planned(what: str) -> Callable[[Mapping[str, Any]], str | None]:
    """Return the function that reads such an occasion from the ``data`` of an event."""

    def read(data: Mapping[str, Any]) -> str | None:
        start = instant(data["space"].get("scheduled_start"))
        return None if start is None else occasion(what, start)

    return read
