"""The numbers of listeners that are worth an event: 100, 500, 1000, 5000, 10000 and so on, each once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

FIRST: Final = 100


def crossed(before: int, now: int) -> tuple[int, ...]:
    """Return the thresholds above ``before`` that ``now`` has reached, the lowest first."""
    reached = []
    for threshold in _thresholds():
        if threshold > now:
            break
        if threshold > before:
            reached.append(threshold)
    return tuple(reached)


def _thresholds() -> Iterator[int]:
    step = FIRST
    while True:
        yield step
        yield 5 * step
        step *= 10
