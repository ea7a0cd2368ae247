"""What the demo's receiver got, and whether it is what the bundled scenario must produce."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from notifier.cli.listener import Received
from notifier.core.model.instants import instant

EXPECTED: Final[Mapping[str, tuple[str, ...]]] = {
    "1OdJrXWaPVPGX": (
        "space.scheduled",
        "space.rescheduled",
        "space.title_changed",
        "space.started",
        "space.speakers_added",
        "space.speakers_added",
        "space.ended",
    ),
    "1YqKDqWqdPLsV": ("space.started", "space.ended"),
    "1zqKVXPQhvZJB": ("space.scheduled", "space.canceled"),
}
"""The events of each Space of the scenario, in order."""

EXPECTED_COUNT: Final = sum(map(len, EXPECTED.values()))


class DemoRecord:
    """Every request received, checked as a whole and not by order of arrival."""

    def __init__(self) -> None:
        self._events: dict[str, Mapping[str, Any]] = {}
        self.delays: list[float] = []
        """Seconds from observing a change to receiving its event, one for each event."""
        self.refusals: list[str] = []
        self.repeats = 0

    def add(self, received: Received) -> bool:
        """Add a request; return whether it is new, since delivery is at least once."""
        if received.refusal is not None or received.body is None:
            self.refusals.append(
                f"{received.event_id or 'a request'}: {received.refusal or 'not a JSON object'}"
            )
            return True
        if received.event_id in self._events:
            self.repeats += 1
            return False
        self._events[received.event_id] = received.body
        seen_at = instant(received.body["data"]["observed_at"])
        if seen_at is not None:
            self.delays.append(received.received_at - seen_at)
        return True

    @property
    def count(self) -> int:
        """How many different events were received."""
        return len(self._events)

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for: everything expected arrived, or something was refused."""
        return bool(self.refusals) or not any(self._missing(space_id) for space_id in EXPECTED)

    def faults(self, logged: Mapping[str, str]) -> list[str]:
        """Return what is wrong, one line each; empty if everything is correct.

        Args:
            logged: Every event of a Space in the log, by id, with its type.
        """
        return [
            *(f"refused {refusal}" for refusal in self.refusals),
            *self._wrong_events(),
            *self._unsent(logged),
        ]

    def _wrong_events(self) -> Iterator[str]:
        for space_id in {**EXPECTED, **dict.fromkeys(self._spaces())}:
            expected, came = Counter(EXPECTED.get(space_id, ())), Counter(self._types(space_id))
            for event_type in (expected - came).elements():
                yield f"missing {event_type} of {space_id}"
            for event_type in (came - expected).elements():
                yield f"unexpected {event_type} of {space_id}"
            if expected == came and not self._in_order(space_id):
                yield f"wrong order for {space_id}: {', '.join(self._types(space_id))}"

    def _unsent(self, logged: Mapping[str, str]) -> Iterator[str]:
        for event_id, event_type in logged.items():
            if event_id not in self._events and self.settled:
                yield f"unexpected {event_type} ({event_id}), in the log but not received"

    def _in_order(self, space_id: str) -> bool:
        sequences = [body["data"]["sequence"] for body in self._of(space_id)]
        in_order = sequences == list(range(1, len(sequences) + 1))
        return in_order and self._types(space_id) == EXPECTED.get(space_id, ())

    def _missing(self, space_id: str) -> Counter[str]:
        return Counter(EXPECTED[space_id]) - Counter(self._types(space_id))

    def _types(self, space_id: str) -> tuple[str, ...]:
        return tuple(body["type"] for body in self._of(space_id))

    def _of(self, space_id: str) -> list[Mapping[str, Any]]:
        """Return the bodies about one Space by their sequence."""
        bodies = (body for body in self._events.values() if _space_id(body) == space_id)
        return sorted(bodies, key=lambda body: body["data"]["sequence"])

    def _spaces(self) -> Iterator[str]:
        return (_space_id(body) for body in self._events.values())


def _space_id(body: Mapping[str, Any]) -> str:
    """Return the id of the Space that a body is about; empty for other events."""
    space_id: str = body["data"].get("space", {}).get("id", "")
    return space_id
