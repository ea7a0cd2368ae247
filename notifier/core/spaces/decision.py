"""What goes into a decision besides the poll itself, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

from notifier.core.events.event import Event
from notifier.core.model.ids import WatchId
from notifier.core.model.observation import Evidence, Presence
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.transitions import ObservedPhase, Step


@dataclass(frozen=True, slots=True)
class Decision:
    """What was concluded. ``known`` is None only for a Space that was never seen."""

    known: KnownSpace | None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class PollContext:
    """What has to be known about a poll besides its answer.

    Attributes:
        watch_ids: The watches that the Space matches.
        lists: The lists that the answer belongs to, if it shows the Space (:mod:`.lists`).
        silent: Add a Space that was never seen to the known state without an event (a watch's baseline).
        mass_vanish: So many Spaces vanished recently that not-found proves nothing (E2).
        degraded: The state of the Spaces is unknown, so no start is announced as overdue.
    """

    watch_ids: tuple[WatchId, ...] = ()
    lists: tuple[str, ...] = ()
    silent: bool = False
    mass_vanish: bool = False
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a poll established about one Space, ready to be announced.

    Attributes:
        step: The move to another phase that it proves, if any.
        observed: The phase that it showed.
        first: Whether the Space was never seen before.
        milestones: The numbers of listeners that were reached since the last poll.
        overdue_since: The planned start, in epoch seconds, long after which the Space had still not started.
    """

    step: Step | None
    observed: ObservedPhase
    evidence: Evidence
    watch_ids: tuple[WatchId, ...]
    first: bool = False
    milestones: tuple[int, ...] = ()
    overdue_since: float | None = None

    @property
    def inferred(self) -> bool:
        """Whether the step is concluded from silence rather than stated by X."""
        return self.evidence.presence in (Presence.NOT_FOUND, Presence.INACCESSIBLE)
