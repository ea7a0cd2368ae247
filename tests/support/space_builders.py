"""Builders of Spaces, polls and histories of polls, for tests of the core."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import TypeAdapter

from notifier.core.events.catalogue import AnyPayload
from notifier.core.events.event import MAX_BODY_BYTES, Event, EventType, encode
from notifier.core.model.ids import SpaceId, UserId, WatchId
from notifier.core.model.instants import rfc3339
from notifier.core.model.observation import Evidence, Observation, Presence, Snapshot
from notifier.core.model.space import FIELD_KINDS, SILENT_FIELDS, FieldKind, Phase, Space, User
from notifier.core.spaces.decide import Decision, PollContext, decide
from notifier.core.spaces.known import KnownSpace, read_known
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.timers import TimerKind, fire
from notifier.core.spaces.vanishing import BLACKOUT_HOLD_SECONDS, CYCLE_SECONDS, is_mass_vanish

SPACE_ID = SpaceId("1zqKVXPQhvZJB")
START = 1_626_249_600.0
"""2021-07-14T08:00:00Z; times in these tests are seconds after it."""

PAYLOADS: Final[TypeAdapter[Any]] = TypeAdapter(AnyPayload)

PATIENCE = Patience(needed=2, apart=30.0)
WATCHED = PollContext(watch_ids=(WatchId("wch_0000000000000001"),))


def at(seconds: float) -> str:
    """Return a time in X's format."""
    return rfc3339(START + seconds)


def space(state: str | None = None, **fields: Any) -> Space:
    return Space(id=SPACE_ID, state=state, **fields)


def variant(described: Space, **fields: Any) -> Space:
    """Return the Space with other values in these fields."""
    return replace(described, **fields)


def user(user_id: str, name: str = "Twitter Dev") -> User:
    return User(UserId(user_id), name, f"user_{user_id}")


def seen(seconds: float, found: Space, *, took: float = 1.0, users: Iterable[User] = ()) -> Evidence:
    """Return a poll that was answered at ``seconds`` and found the Space."""
    snapshot = Snapshot(found, {person.id: person for person in users})
    return Evidence(found.id, Presence.SEEN, START + seconds - took, START + seconds, snapshot)


def not_found(seconds: float, *, took: float = 1.0) -> Evidence:
    return Evidence(SPACE_ID, Presence.NOT_FOUND, START + seconds - took, START + seconds)


def inaccessible(seconds: float, *, took: float = 1.0) -> Evidence:
    return Evidence(SPACE_ID, Presence.INACCESSIBLE, START + seconds - took, START + seconds)


def absent(seconds: float) -> Evidence:
    return Evidence(SPACE_ID, Presence.ABSENT, START + seconds - 1, START + seconds)


def failed_call(seconds: float) -> Evidence:
    return Evidence(SPACE_ID, Presence.FAILED, START + seconds - 1, START + seconds)


PLANNED = space("scheduled", title="Planned", scheduled_start=at(600), host_ids=("1", "2"))
LIVE = variant(PLANNED, state="live", started_at=at(612))
ENDED = space("ended", started_at=at(612), ended_at=at(4212))

ENDED_BY_SILENCE = (seen(0, space("live")), not_found(10), not_found(40))
CANCELED_BY_SILENCE = (seen(0, space("scheduled")), not_found(10), not_found(40))


@dataclass(frozen=True, slots=True)
class TimerFiring:
    """A timer that fires ``seconds`` after the start, for a Space that may no longer be watched."""

    kind: TimerKind
    seconds: float
    watched: bool = True


def reminder(seconds: float) -> TimerFiring:
    return TimerFiring(TimerKind.REMINDER, seconds)


def erasure(seconds: float, *, watched: bool = True) -> TimerFiring:
    return TimerFiring(TimerKind.ERASURE, seconds, watched)


class History:
    """The known state of one Space over a series of polls.

    With ``silent`` the Space is first seen by a new watch, which announces it only in a baseline.

    With ``restart`` the known state passes through JSON before each step, as if a worker had read it from the
    store.

    Attributes:
        first_state: The Space as first seen, if no event announced it.
        erased_after: The numbers of events after which content was erased without an event.
    """

    def __init__(
        self,
        *steps: Evidence | TimerFiring,
        patience: Patience = PATIENCE,
        restart: bool = False,
        silent: bool = False,
    ) -> None:
        self.known: KnownSpace | None = None
        self.events: list[Event] = []
        self.first_state: Space | None = None
        self.erased_after: set[int] = set()
        self.patience = patience
        self.restart = restart
        self.silent = silent
        for step in steps:
            self.take(step)

    def take(self, step: Evidence | TimerFiring) -> tuple[Event, ...]:
        """Apply a poll or fire a timer, and return the events."""
        return self.poll(step) if isinstance(step, Evidence) else self.fire(step)

    def poll(
        self,
        evidence: Evidence,
        *,
        mass_vanish: bool = False,
        degraded: bool = False,
        lists: tuple[str, ...] = (),
    ) -> tuple[Event, ...]:
        """Apply one poll and return its events."""
        before = self._read_back()
        context = replace(
            WATCHED, silent=self.silent, mass_vanish=mass_vanish, degraded=degraded, lists=lists
        )
        decision = decide(before, evidence, patience=self.patience, context=context)
        if before is None and decision.known is not None and not decision.events:
            self.first_state = decision.known.space
        return self._keep(decision)

    def fire(self, timer: TimerFiring) -> tuple[Event, ...]:
        """Fire a timer and return its events."""
        before = self._read_back()
        if before is None:
            return ()
        watch_ids = WATCHED.watch_ids if timer.watched else ()
        decision = fire(
            before,
            timer.kind,
            now=START + timer.seconds,
            patience=self.patience,
            watch_ids=watch_ids,
            mentioned=self.silent,
        )
        if self.state.space != (decision.known or before).space and not decision.events:
            self.erased_after.add(len(self.events))
        return self._keep(decision)

    def _read_back(self) -> KnownSpace | None:
        if self.restart and self.known is not None:
            return read_known(json.loads(json.dumps(self.known.as_json())))
        return self.known

    def _keep(self, decision: Decision) -> tuple[Event, ...]:
        self.known = decision.known
        self.events.extend(decision.events)
        return decision.events

    @property
    def state(self) -> KnownSpace:
        assert self.known is not None, "the Space was never seen"
        return self.known

    @property
    def phase(self) -> Phase:
        return self.state.phase

    @property
    def types(self) -> list[str]:
        return types(self.events)


class Cycle:
    """The recently vanished Spaces, counted as the store does for all workers."""

    def __init__(self) -> None:
        self.polled: dict[str, float] = {}
        self.missing: dict[str, float] = {}

    def note(self, known: Mapping[str, KnownSpace], observation: Observation) -> bool:
        """Record one lookup, and return whether it is part of a mass vanish."""
        now = observation.answered_at
        for name, state in known.items():
            presence = observation.evidence(SpaceId(name)).presence
            if state.phase.is_over:
                self.polled.pop(name, None)
                self.missing.pop(name, None)
            elif presence in (Presence.NOT_FOUND, Presence.INACCESSIBLE):
                self.polled[name] = now
                self.missing.setdefault(name, now)
            elif presence is Presence.SEEN:
                self.polled[name] = now
                self.missing.pop(name, None)
        self.polled = {name: at for name, at in self.polled.items() if at > now - CYCLE_SECONDS}
        self.missing = {name: at for name, at in self.missing.items() if at > now - BLACKOUT_HOLD_SECONDS}
        return is_mass_vanish(list(self.missing.values()), len(self.polled), now=now)


def types(events: Iterable[Event]) -> list[str]:
    return [event.type.value for event in events]


def body_of(event: Event) -> dict[str, Any]:
    """Return the parsed body of an event, after checking its size."""
    body = encode(event)
    assert len(body) < MAX_BODY_BYTES
    read: dict[str, Any] = json.loads(body)
    return read


def described_body_of(event: Event) -> dict[str, Any]:
    """Return the body of an event, after checking that the catalogue describes exactly its content."""
    body = body_of(event)
    assert PAYLOADS.dump_python(PAYLOADS.validate_python(body), mode="json", exclude_unset=True) == body
    return body


def change(before: Space, after: Space) -> Event:
    """Return the single event for a change from ``before`` to ``after``."""
    history = History(seen(700, before))
    (event,) = history.poll(seen(730, after))
    return event


def replay(
    events: Sequence[Event], first_state: Space | None, *, erased_after: Collection[int] = ()
) -> Space:
    """Return a Space with the changes of each event applied, and nothing else from the events."""
    replayed = first_state or Space(id=SPACE_ID)
    for number, event in enumerate(events):
        if number in erased_after or event.type is EventType.REDACTED:
            replayed = replayed.without_content()
        announced = event.data["space"]
        changes = {name: announced.get(name) for name in event.data["changed"]}
        for name, value in changes.items():
            is_list = value is not None and FIELD_KINDS[name] is FieldKind.IDS
            changes[name] = tuple(value) if is_list else value
        replayed = replayed.with_values(changes)
    return replayed.without_content() if len(events) in erased_after else replayed


def announced_fields(described: Space) -> dict[str, object]:
    """Return the fields that events announce: all but the counts and ``updated_at``."""
    return {name: value for name, value in described.known().items() if name not in SILENT_FIELDS}
