"""X in a simulated week: what it answers about Spaces that live there, its rate limits and its bill.

No clock and no network: whoever asks says what time it is, and time never runs backwards.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.lives import DAY, MINUTE, Ending, Life
from notifier.core.buckets import WINDOW_SECONDS
from notifier.core.ids import SpaceId, UserId
from notifier.core.instants import rfc3339
from notifier.core.observation import Call, Snapshot
from notifier.core.space import Space, User
from notifier.core.spending import price

LIMIT: Final = 300
"""Requests in a window."""

CREATORS_APART: Final = 1.0
"""Seconds between two requests by creator."""

GROWTH_SECONDS: Final = 15 * MINUTE
"""In this time, 63 % of a Space's listeners have come."""

BOTH: Final = frozenset({Call.LOOKUP, Call.CREATORS})


@dataclass(frozen=True, slots=True)
class Answer:
    """What X answers; a refused request has only the figures of its bucket. ``reset`` is epoch seconds."""

    refused: bool
    remaining: int
    reset: float
    snapshots: Mapping[SpaceId, Snapshot]
    not_found: frozenset[str]


class Listed:
    """A Space at X, which is rendered once for as long as nothing about it changes."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.billed_on = -1
        self._users = {each: User(UserId(each), f"Somebody {each}", f"user{each}") for each in life.people}
        self._snapshot: Snapshot | None = None
        self._changes_at = life.created_at

    def snapshot(self, now: float) -> Snapshot | None:
        """Tell of it; None where X does not have it."""
        if now >= self._changes_at:
            self._snapshot, self._changes_at = self._render(now), self._next_change(now)
        return self._snapshot

    def is_listed(self, now: float) -> bool:
        """Tell whether the answer to its creator has it."""
        return self.life.created_at <= now < self.life.over_at

    def _next_change(self, now: float) -> float:
        life = self.life
        moments = [plan.made_at for plan in life.plans]
        moments += [at for at in (life.started_at, life.retitled_at, life.over_at) if at is not None]
        if life.started_at is not None and life.started_at <= now < life.over_at:
            moments.append(life.started_at + MINUTE * (math.floor((now - life.started_at) / MINUTE) + 1))
        return min((at for at in moments if at > now), default=math.inf)

    def _render(self, now: float) -> Snapshot | None:
        life = self.life
        is_over = now >= life.over_at
        if is_over and life.ending is Ending.GONE:
            return None
        started_at = life.started_at if life.started_at is not None and now >= life.started_at else None
        plans = [plan for plan in life.plans if plan.made_at <= now]
        title = f"How things are made, part {life.space_id}"
        is_retitled = life.retitled_at is not None and now >= life.retitled_at
        changes = [plan.made_at for plan in plans] + ([life.retitled_at] if is_retitled else [])
        space = Space(
            id=SpaceId(life.space_id),
            state=_state(life, now),
            title=title + (", once more" if is_retitled else ""),
            lang="en",
            creator_id=life.creator_id,
            created_at=rfc3339(life.created_at),
            scheduled_start=rfc3339(plans[-1].start) if plans else None,
            started_at=None if started_at is None else rfc3339(started_at),
            ended_at=rfc3339(life.over_at) if is_over else None,
            updated_at=rfc3339(max((at for at in changes if at is not None), default=life.created_at)),
            is_ticketed=False,
            participant_count=_listeners(life, started_at, min(now, life.over_at)),
            host_ids=life.people[:2],
            speaker_ids=() if started_at is None else life.people,
        )
        return Snapshot(space, self._users)


def _state(life: Life, now: float) -> str:
    if now < life.over_at:
        return "scheduled" if life.started_at is None or now < life.started_at else "live"
    # One that nobody came to is given up after its planned start.
    return "canceled" if life.started_at is None and life.over_at < life.plans[-1].start else "ended"


def _listeners(life: Life, started_at: float | None, now: float) -> int:
    if started_at is None:
        return 0
    minutes = math.floor((now - started_at) / MINUTE)
    return round(life.listeners * (1 - math.exp(-minutes * MINUTE / GROWTH_SECONDS)))


class Windows:
    """X's limits: a window begins with its first request."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._used: dict[object, tuple[int, float]] = {}
        self._creators_at = -math.inf

    def take(self, call: Call, now: float) -> tuple[bool, int, float]:
        """Count a request; gives whether it is refused, what remains, and the reset."""
        bucket = BOTH if self._shared else call
        used, reset = self._used.get(bucket, (0, 0.0))
        if now >= reset:
            used, reset = 0, math.ceil(now + WINDOW_SECONDS)
        is_too_soon = call is Call.CREATORS and now < self._creators_at + CREATORS_APART
        if used >= LIMIT or is_too_soon:
            return True, LIMIT - used, reset
        if call is Call.CREATORS:
            self._creators_at = now
        self._used[bucket] = used + 1, reset
        return False, LIMIT - used - 1, reset


class SimulatedX:
    """X.

    Attributes:
        requests: How many were answered, by call and number of the quarter of an hour.
        refused: How many were not.
        space_reads: What is billed, each Space once in a UTC day.
        user_reads: The same of the people who come along.
    """

    def __init__(self, lives: Sequence[Life], *, shared: bool) -> None:
        self.requests: Counter[tuple[Call, int]] = Counter()
        self.refused = 0
        self.space_reads = 0
        self.user_reads = 0
        self._windows = Windows(shared=shared)
        self._spaces = {life.space_id: Listed(life) for life in lives}
        self._to_come = [self._spaces[life.space_id] for life in reversed(lives)]
        self._by_creator: dict[str, list[Listed]] = defaultdict(list)
        self._billed_users: set[tuple[int, str]] = set()

    @property
    def usd(self) -> float:
        """The bill, people included."""
        return price(self.space_reads, self.user_reads)

    def ask(self, call: Call, subjects: Sequence[str], now: float) -> Answer:
        """Answer a lookup of Spaces, or the question for the Spaces of creators."""
        refused, remaining, reset = self._windows.take(call, now)
        if refused:
            self.refused += 1
            return Answer(refused, remaining, reset, {}, frozenset())
        self.requests[call, int(now // WINDOW_SECONDS)] += 1
        found = self._look_up(subjects, now) if call is Call.LOOKUP else self._list(subjects, now)
        self._bill(found, now)
        not_found = frozenset(subjects).difference(found) if call is Call.LOOKUP else frozenset()
        return Answer(refused, remaining, reset, found, not_found)

    def _look_up(self, space_ids: Sequence[str], now: float) -> dict[SpaceId, Snapshot]:
        seen = ((space_id, self._spaces[space_id].snapshot(now)) for space_id in space_ids)
        return {SpaceId(space_id): snapshot for space_id, snapshot in seen if snapshot is not None}

    def _list(self, creators: Sequence[str], now: float) -> dict[SpaceId, Snapshot]:
        while self._to_come and self._to_come[-1].life.created_at <= now:
            listed = self._to_come.pop()
            self._by_creator[listed.life.creator_id].append(listed)
        found = {}
        for creator in creators:
            spaces = self._by_creator.get(creator)
            if not spaces:
                continue
            self._by_creator[creator] = spaces = [each for each in spaces if each.is_listed(now)]
            for each in spaces:
                snapshot = each.snapshot(now)
                if snapshot is not None:
                    found[snapshot.space.id] = snapshot
        return found

    def _bill(self, found: Mapping[SpaceId, Snapshot], now: float) -> None:
        today = int(now // DAY)
        for space_id in found:
            listed = self._spaces[space_id]
            if listed.billed_on != today:
                listed.billed_on = today
                self.space_reads += 1
                users = {(today, each) for each in listed.life.people} - self._billed_users
                self.user_reads += len(users)
                self._billed_users |= users
