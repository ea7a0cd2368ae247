"""Spaces, looks and whole histories of looks, for the tests of the core."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from notifier.core.decide import Circumstances, decide
from notifier.core.events import MAX_BODY_BYTES, Event, encode
from notifier.core.ids import SpaceId, UserId, WatchId
from notifier.core.instants import rfc3339
from notifier.core.known import KnownSpace, read_known
from notifier.core.merging import Patience
from notifier.core.observation import Evidence, Presence, Snapshot
from notifier.core.space import FIELD_KINDS, SILENT_FIELDS, FieldKind, Phase, Space, User

SPACE_ID = SpaceId("1zqKVXPQhvZJB")
START = 1_626_249_600.0
"""2021-07-14T08:00:00Z; every time in these tests is given in seconds after it."""

PATIENCE = Patience(needed=2, apart=30.0)
WATCHED = Circumstances(watch_ids=(WatchId("wch_0000000000000001"),))


def at(seconds: float) -> str:
    """Write a time as X does."""
    return rfc3339(START + seconds)


def space(state: str | None = None, **fields: Any) -> Space:
    return Space(id=SPACE_ID, state=state, **fields)


def but(described: Space, **fields: Any) -> Space:
    """The same Space with other values in these fields."""
    return replace(described, **fields)


def user(user_id: str, name: str = "Twitter Dev") -> User:
    return User(UserId(user_id), name, f"user_{user_id}")


def seen(seconds: float, found: Space, *, took: float = 1.0, users: Iterable[User] = ()) -> Evidence:
    """A look that was answered at ``seconds`` and found the Space."""
    snapshot = Snapshot(found, {person.id: person for person in users})
    return Evidence(found.id, Presence.SEEN, START + seconds - took, START + seconds, snapshot)


def not_found(seconds: float, *, took: float = 1.0) -> Evidence:
    return Evidence(SPACE_ID, Presence.NOT_FOUND, START + seconds - took, START + seconds)


def absent(seconds: float) -> Evidence:
    return Evidence(SPACE_ID, Presence.ABSENT, START + seconds - 1, START + seconds)


def failed_call(seconds: float) -> Evidence:
    return Evidence(SPACE_ID, Presence.FAILED, START + seconds - 1, START + seconds)


PLANNED = space("scheduled", title="Planned", scheduled_start=at(600), host_ids=("1", "2"))
LIVE = but(PLANNED, state="live", started_at=at(612))
ENDED = space("ended", started_at=at(612), ended_at=at(4212))

ENDED_BY_SILENCE = (seen(0, space("live")), not_found(10), not_found(40))
CANCELED_BY_SILENCE = (seen(0, space("scheduled")), not_found(10), not_found(40))


class History:
    """What becomes known of one Space, look after look.

    With ``restart`` the known state goes through JSON before each look, as when a worker reads it from the
    store.
    """

    def __init__(
        self, *looks: Evidence, patience: Patience = PATIENCE, restart: bool = False, silent: bool = False
    ) -> None:
        self.known: KnownSpace | None = None
        self.events: list[Event] = []
        self.taken_in: Space | None = None
        self.patience = patience
        self.restart = restart
        self.silent = silent
        for look in looks:
            self.look(look)

    def look(self, evidence: Evidence, *, mass_vanish: bool = False) -> tuple[Event, ...]:
        """Take one look in and give its events."""
        before = self.known
        if self.restart and before is not None:
            before = read_known(json.loads(json.dumps(before.as_json())))
        around = Circumstances(WATCHED.watch_ids, silent=self.silent, mass_vanish=mass_vanish)
        decision = decide(before, evidence, patience=self.patience, around=around)
        if before is None and decision.known is not None and not decision.events:
            self.taken_in = decision.known.space
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


def types(events: Iterable[Event]) -> list[str]:
    return [event.type.value for event in events]


def body_of(event: Event) -> dict[str, Any]:
    """Write the event, check that it is small enough, and read it back."""
    body = encode(event)
    assert len(body) < MAX_BODY_BYTES
    read: dict[str, Any] = json.loads(body)
    return read


def change(before: Space, after: Space) -> Event:
    """The one event that tells how ``before`` became ``after``."""
    history = History(seen(700, before))
    (event,) = history.look(seen(730, after))
    return event


def replay(events: Iterable[Event], taken_in: Space | None) -> Space:
    """Apply what each event says has changed, and nothing else of it, to a Space."""
    replayed = taken_in or Space(id=SPACE_ID)
    for event in events:
        told = event.data["space"]
        changes = {name: told[name] for name in event.data["changed"]}
        for name, value in changes.items():
            changes[name] = tuple(value) if FIELD_KINDS[name] is FieldKind.IDS else value
        replayed = replayed.with_values(changes)
    return replayed


def told_part(described: Space) -> dict[str, object]:
    """Give the fields that events tell: all but the counts and ``updated_at``."""
    return {name: value for name, value in described.known().items() if name not in SILENT_FIELDS}
