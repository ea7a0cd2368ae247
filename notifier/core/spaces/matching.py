"""Which watches a Space belongs to, and what a new watch's first poll means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from notifier.core.events.event import Event, EventType, plain_event
from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Observation, Snapshot
from notifier.core.model.space import Space
from notifier.core.model.watch import OnFirstSight, Watch, WatchRole


@dataclass(frozen=True, slots=True)
class People:
    """The creators and hosts of a Space, for matching with creator watches."""

    creators: frozenset[str]
    hosts: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        """Everyone whose watches may match."""
        return self.creators | self.hosts

    def are_followed_by(self, watch: Watch) -> bool:
        """Return whether a watch follows one of them in their role."""
        return (WatchRole.CREATOR in watch.roles and watch.subject in self.creators) or (
            WatchRole.HOST in watch.roles and watch.subject in self.hosts
        )


def people_of(snapshot: Snapshot | None, known: Space | None) -> People:
    """Return a Space's creator and hosts; if X does not name the creator, the hosts count as creators."""
    spaces = [space for space in (snapshot.space if snapshot else None, known) if space is not None]
    creator = next((space.creator_id for space in spaces if space.creator_id), None)
    hosts = frozenset(host for space in spaces for host in space.host_ids or ())
    shown = frozenset(snapshot.space.host_ids or ()) if snapshot else frozenset()
    return People(frozenset({creator}) if creator else shown, hosts)


def unattributed(observation: Observation) -> list[SpaceId]:
    """Return the Spaces in an answer about creators whose creator it does not name."""
    creators = set(observation.question.subjects)
    return [
        space_id
        for space_id, snapshot in observation.snapshots.items()
        if snapshot.space.creator_id is None and creators.isdisjoint(snapshot.space.host_ids or ())
    ]


def is_silent(watches: Iterable[Watch]) -> bool:
    """Return whether a Space that was never seen is added without an event.

    It is while every watch that it belongs to is on its first poll and wants a baseline.
    """
    return all(wants_baseline(watch) for watch in watches)


def wants_baseline(watch: Watch) -> bool:
    """Return whether the next poll of a watch is its baseline."""
    return watch.on_first_sight is OnFirstSight.BASELINE and not watch.baselined


def failed_event(watch: Watch, *, since: str, now: float) -> Event:
    """Return the event that reports a failed watch.

    ``since`` (RFC 3339) is when X first refused its subject, ``now`` is in epoch seconds.
    """
    return plain_event(
        EventType.WATCH_FAILED,
        content=(watch.id, since),
        details={"watch": _summary(watch), "reason": watch.failure_reason or "", "since": since},
        observed_at=now,
        watch_ids=(watch.id,),
    )


def baseline_event(watch: Watch, spaces: Sequence[Space], *, now: float) -> Event:
    """Return the one event that lists everything a new watch found on its first poll."""
    return plain_event(
        EventType.WATCH_BASELINE,
        content=(watch.id,),
        details={
            "watch": _summary(watch),
            "spaces": [space.as_json() for space in spaces],
        },
        observed_at=now,
        watch_ids=(watch.id,),
    )


def _summary(watch: Watch) -> dict[str, str]:
    return {"id": watch.id, "kind": watch.kind, "target": watch.target}
