"""Occasions: what tells an event that changes no field from others of its Space and type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from notifier.core.model.instants import instant

REMINDER: Final = "reminder"
OVERDUE: Final = "overdue"


def occasion(what: str, start: float) -> str:
    """Name the one time at which something may be told of a planned start."""
    return f"{what}@{start:.3f}"


def planned(what: str) -> Callable[[Mapping[str, Any]], str | None]:
    """Return how the occasion of an event that is sent once per planned start is read out of its ``data``."""

    def read(data: Mapping[str, Any]) -> str | None:
        start = instant(data["space"].get("scheduled_start"))
        return None if start is None else occasion(what, start)

    return read
