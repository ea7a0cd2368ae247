"""A Space of the simulated week as X shows it, now or on a lagging replica."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from benchmarks.simulated_spaces import MINUTE, Ending, SimulatedSpace
from notifier.core.model.ids import SpaceId, UserId
from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Snapshot
from notifier.core.model.space import Space, User

GROWTH_SECONDS: Final = 15 * MINUTE
"""The time after which 63 % of a Space's listeners have joined."""

KEPT_VERSIONS: Final = 8
"""How many versions of a Space are cached, for lagging replicas."""


@dataclass(frozen=True, slots=True)
class Version:
    """A Space between two of its changes; None while X does not have it."""

    begins: float
    ends: float
    snapshot: Snapshot | None

    def is_of(self, now: float) -> bool:
        """Return whether the version is valid at a time."""
        return self.begins <= now < self.ends


class XSpace:
    """A Space at X, rendered once per change."""

    def __init__(self, space: SimulatedSpace) -> None:
        self.simulated = space
        self.billed_on = -1
        self._users = {each: User(UserId(each), f"Somebody {each}", f"user{each}") for each in space.people}
        self._version = Version(-math.inf, space.created_at, None)
        self._others: deque[Version] = deque(maxlen=KEPT_VERSIONS)

    def snapshot(self, now: float) -> Snapshot | None:
        """Return the Space at a time; None if X does not have it."""
        if not self._version.is_of(now):
            others = self._others
            version = next((each for each in others if each.is_of(now)), None) or self._make(now)
            others.append(self._version)
            self._version = version
        return self._version.snapshot

    def is_listed(self, now: float) -> bool:
        """Return whether the list of its creator includes it."""
        return self.simulated.created_at <= now < self.simulated.over_at

    def _make(self, now: float) -> Version:
        space = self.simulated
        moments = [plan.made_at for plan in space.plans]
        changes = (space.created_at, space.started_at, space.retitled_at, space.over_at)
        moments += [at for at in changes if at is not None]
        if space.started_at is not None and space.started_at <= now < space.over_at:
            minute = math.floor((now - space.started_at) / MINUTE)
            moments += [space.started_at + MINUTE * each for each in (minute, minute + 1)]
        begins = max((at for at in moments if at <= now), default=-math.inf)
        ends = min((at for at in moments if at > now), default=math.inf)
        return Version(begins, ends, self._render(now))

    def _render(self, now: float) -> Snapshot | None:
        space = self.simulated
        is_over = now >= space.over_at
        if now < space.created_at or (is_over and space.ending is Ending.GONE):
            return None
        started_at = space.started_at if space.started_at is not None and now >= space.started_at else None
        plans = [plan for plan in space.plans if plan.made_at <= now]
        title = f"How things are made, part {space.space_id}"
        is_retitled = space.retitled_at is not None and now >= space.retitled_at
        changes = [plan.made_at for plan in plans] + ([space.retitled_at] if is_retitled else [])
        shown = Space(
            id=SpaceId(space.space_id),
            state=_state(space, now),
            title=title + (", once more" if is_retitled else ""),
            lang="en",
            creator_id=space.creator_id,
            created_at=rfc3339(space.created_at),
            scheduled_start=rfc3339(plans[-1].start) if plans else None,
            started_at=None if started_at is None else rfc3339(started_at),
            ended_at=rfc3339(space.over_at) if is_over else None,
            updated_at=rfc3339(max((at for at in changes if at is not None), default=space.created_at)),
            is_ticketed=False,
            participant_count=_listeners(space, started_at, min(now, space.over_at)),
            host_ids=space.people[:2],
            speaker_ids=() if started_at is None else space.people,
        )
        return Snapshot(shown, self._users)


def _state(space: SimulatedSpace, now: float) -> str:
    if now < space.over_at:
        return "scheduled" if space.started_at is None or now < space.started_at else "live"
    # One that never starts is given up after its planned start.
    return "canceled" if space.started_at is None and space.over_at < space.plans[-1].start else "ended"


def _listeners(space: SimulatedSpace, started_at: float | None, now: float) -> int:
    if started_at is None:
        return 0
    minutes = math.floor((now - started_at) / MINUTE)
    return round(space.listeners * (1 - math.exp(-minutes * MINUTE / GROWTH_SECONDS)))
