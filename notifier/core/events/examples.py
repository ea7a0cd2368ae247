"""One example body per event type, built by the code that builds the real ones."""

from __future__ import annotations

import json
from typing import Any, Final

from notifier.core.events.event import Event, EventType, Sighting, encode, plain_event, space_event
from notifier.core.events.plain_events import ENDPOINT, WATCH
from notifier.core.events.rows import EventRow, PlainEvent
from notifier.core.events.space_events import PLANNED
from notifier.core.model.ids import UserId
from notifier.core.model.space import User

POLLED_AT: Final = 1_626_249_619.0
POLLED_BEFORE: Final = POLLED_AT - 10
DEVELOPERS: Final = User(UserId("2244994945"), "Twitter Dev", "TwitterDev")


def example(row: EventRow) -> dict[str, Any]:
    """Return the full body of one event of this type."""
    body: dict[str, Any] = json.loads(encode(_event(row)))
    return body


def _event(row: EventRow) -> Event:
    if isinstance(row, PlainEvent):
        return plain_event(
            row.name,
            content=[ENDPOINT],
            details=row.example,
            observed_at=POLLED_AT,
            watch_ids=(WATCH,) if row.name.startswith("watch.") else (),
        )
    change = row.example
    return space_event(
        row.name,
        sequence=1 if change.before is None else 3,
        before=change.before,
        after=(change.before or PLANNED).with_values(change.changes),
        changed=tuple(change.changes),
        details=change.details,
        users={} if row.name is EventType.REDACTED else {DEVELOPERS.id: DEVELOPERS},
        sighting=Sighting(POLLED_AT, (POLLED_BEFORE, POLLED_AT), change.before is None, (WATCH,)),
        occurred_at=change.occurred_at,
    )
