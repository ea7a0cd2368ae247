"""What a decision is made from beside the poll itself, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from notifier.core.events.event import Event
from notifier.core.model.ids import WatchId
from notifier.core.spaces.known import KnownSpace


@dataclass(frozen=True, slots=True)
class Decision:
    """What was concluded. ``known`` is None only for a Space that was never seen."""

    known: KnownSpace | None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What surrounds a poll.

    Attributes:
        watch_ids: The watches that the Space matches.
        lists: The lists that the answer belongs to, where it shows the Space (:mod:`.lists`).
        silent: Take a Space that was never seen into the known state without an event (a watch's baseline).
        mass_vanish: So many Spaces vanished lately that not-found proves nothing (E2).
        degraded: Nobody knows how the Spaces are doing, so no start is called overdue.
    """

    watch_ids: tuple[WatchId, ...] = ()
    lists: tuple[str, ...] = ()
    silent: bool = False
    mass_vanish: bool = False
    degraded: bool = False
