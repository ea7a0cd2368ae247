"""The schedule of polls and the cycle of vanishings in memory, by the rules that the store has in Redis."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from notifier.core.model.poll import DuePoll, NextPoll, Urgency
from notifier.core.spaces.vanishing import BLACKOUT_HOLD_SECONDS, CYCLE_SECONDS, is_mass_vanish


class Schedule:
    """The polls of one call: a subject is urgent, patient, or claimed while a question is in flight."""

    def __init__(self) -> None:
        self._queues: dict[Urgency, list[tuple[float, str, DuePoll]]] = {each: [] for each in Urgency}
        self._filed: dict[str, DuePoll] = {}
        self._claimed: set[str] = set()
        self._shown = 0

    def first(self, limit: int) -> tuple[list[DuePoll], list[DuePoll]]:
        """Return the first urgent and the first patient polls, due or not."""
        self._shown = limit
        urgent, patient = (self._queues[urgency][:limit] for urgency in Urgency)
        return [entry[2] for entry in urgent], [entry[2] for entry in patient]

    def claim(self, polls: Sequence[DuePoll]) -> None:
        """Remove polls from the queues until they are filed again."""
        for poll in polls:
            del self._filed[poll.subject]
            self._claimed.add(poll.subject)
        for queue in self._queues.values():
            # Each request is filled from the first polls of both queues.
            shown = queue[: self._shown]
            queue[: self._shown] = [entry for entry in shown if entry[1] not in self._claimed]

    def file(self, subject: str, poll: NextPoll) -> None:
        """Set when a subject is polled next."""
        if subject in self._filed:
            self.drop(subject)
        self._claimed.discard(subject)
        due = self._filed[subject] = DuePoll(subject, poll.at, poll.urgency)
        insort(self._queues[poll.urgency], (poll.at, subject, due))

    def drop(self, subject: str) -> None:
        """Stop polling a subject."""
        self._claimed.discard(subject)
        poll = self._filed.pop(subject, None)
        if poll is not None:
            queue = self._queues[poll.urgency]
            del queue[bisect_left(queue, (poll.at, subject))]

    def bring_forward(self, subject: str, at: float) -> bool:
        """Have a subject polled by a time; return whether that changes anything."""
        poll = self._filed.get(subject)
        is_urgent = poll is not None and poll.urgency is Urgency.URGENT and poll.at <= at
        if subject in self._claimed or is_urgent:
            return False
        self.file(subject, NextPoll(at, Urgency.URGENT))
        return True


class Cycle:
    """The Spaces that were polled in the last cycle, and those that are missing."""

    def __init__(self) -> None:
        self._polled: dict[str, float] = {}
        self._missing: dict[str, float] = {}

    def note(self, found: Iterable[str], missing: Iterable[str], now: float) -> bool:
        """Record what an answer says about Spaces that were not over; return whether it is a mass vanish."""
        for space_id in found:
            self._poll(space_id, now)
            self._missing.pop(space_id, None)
        for space_id in missing:
            self._poll(space_id, now)
            self._missing.setdefault(space_id, now)
        _forget(self._polled, now - CYCLE_SECONDS)
        _forget(self._missing, now - BLACKOUT_HOLD_SECONDS)
        return is_mass_vanish(list(self._missing.values()), len(self._polled), now=now)

    def forget(self, space_id: str) -> None:
        """Remove a Space whose end is believed."""
        self._polled.pop(space_id, None)
        self._missing.pop(space_id, None)

    def _poll(self, space_id: str, now: float) -> None:
        self._polled.pop(space_id, None)
        self._polled[space_id] = now  # moved to the end, in the order of the polls


def _forget(moments: dict[str, float], until: float) -> None:
    while moments:
        first = next(iter(moments))
        if moments[first] > until:
            break
        del moments[first]
