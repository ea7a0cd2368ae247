"""One example body per event type, built by the code that builds the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from notifier.core.events.event import Event, EventType, Sighting, encode, plain_event, space_event
from notifier.core.model.ids import EndpointId, SpaceId, UserId, WatchId
from notifier.core.model.instants import rfc3339
from notifier.core.model.space import Space, User, Value

LOOKED_AT: Final = 1_626_249_619.0
LOOKED_BEFORE: Final = LOOKED_AT - 10
WATCH: Final = WatchId("wch_4cQ8mZ1rTgXw0sKd")
ENDPOINT: Final = EndpointId("ep_Yp3LkV7nBq2HjRxe")
RETRACTED: Final = "evt_2Jx9QmWc4RtUb7ZsKe1Lpa"

PLANNED: Final = Space(
    id=SpaceId("1zqKVXPQhvZJB"),
    state="scheduled",
    title="Say hello to the Space data object!",
    lang="en",
    creator_id="2244994945",
    created_at="2021-07-11T14:24:44.000Z",
    scheduled_start="2021-07-14T08:00:00.000Z",
    is_ticketed=False,
    host_ids=("2244994945",),
)
LIVE: Final = PLANNED.with_values(
    {"state": "live", "started_at": "2021-07-14T08:00:12.000Z", "speaker_ids": ("2244994945",)}
)
OVER: Final = LIVE.with_values({"state": "ended", "ended_at": "2021-07-14T08:00:16.000Z"})
DEVELOPERS: Final = User(UserId("2244994945"), "Twitter Dev", "TwitterDev")


@dataclass(frozen=True, slots=True)
class _Story:
    """What an example tells: the Space before, what changes, and the facts special to the type."""

    before: Space | None
    changes: Mapping[str, Value]
    details: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: str | None = None


STORIES: Final[Mapping[EventType, _Story]] = {
    EventType.SCHEDULED: _Story(None, PLANNED.known(), occurred_at=PLANNED.created_at),
    EventType.RESCHEDULED: _Story(
        PLANNED, {"scheduled_start": "2021-07-14T09:30:00.000Z"}, {"delta_seconds": 5400}
    ),
    EventType.STARTED: _Story(
        PLANNED,
        {"state": "live", "started_at": "2021-07-14T08:00:12.000Z"},
        {"late_by_seconds": 12, "unscheduled": False},
        occurred_at=LIVE.started_at,
    ),
    EventType.ENDED: _Story(
        LIVE,
        {"state": "ended", "ended_at": "2021-07-14T08:00:16.000Z"},
        {"duration_seconds": 4, "peak_participant_count": 118},
        occurred_at=OVER.ended_at,
    ),
    EventType.CANCELED: _Story(PLANNED, {"state": "canceled"}, {"reason": "explicit"}),
    EventType.TITLE_CHANGED: _Story(PLANNED, {"title": "Say hello to Spaces"}),
    EventType.HOSTS_CHANGED: _Story(
        LIVE, {"host_ids": ("2244994945", "6253282")}, {"added": ["6253282"], "removed": []}
    ),
    EventType.SPEAKERS_ADDED: _Story(
        LIVE, {"speaker_ids": ("2244994945", "6253282")}, {"added": ["6253282"], "total": 2}
    ),
    EventType.UPDATED: _Story(PLANNED, {"is_ticketed": True, "topic_ids": ("848920371311001600",)}),
    EventType.CORRECTED: _Story(OVER, {"state": "live"}, {"retracts": RETRACTED}),
    EventType.PARTICIPANTS_MILESTONE: _Story(LIVE, {}, {"threshold": 100}),
    EventType.REMINDER: _Story(PLANNED, {}, {"minutes_before": 15}),
    EventType.START_OVERDUE: _Story(PLANNED, {}, {"overdue_seconds": 600.412}),
    EventType.REDACTED: _Story(Space(id=PLANNED.id), {}),
}

SINCE: Final = rfc3339(LOOKED_BEFORE)

PLAIN: Final[Mapping[EventType, Mapping[str, Any]]] = {
    EventType.WATCH_BASELINE: {
        "watch": {"id": WATCH, "kind": "creator", "target": "@TwitterDev"},
        "spaces": [PLANNED.as_json()],
    },
    EventType.SOURCE_DEGRADED: {
        "kind": "credits_depleted",
        "since": SINCE,
        "detail": "HTTP 402: no credits are left",
    },
    EventType.WATCH_FAILED: {
        "watch": {"id": WATCH, "kind": "search", "target": "from:("},
        "reason": "X does not accept from:(: HTTP 400: the query cannot be read",
        "since": SINCE,
    },
    EventType.SOURCE_RECOVERED: {"kind": "credits_depleted", "since": SINCE, "after_seconds": 10.0},
    EventType.ENDPOINT_DISABLED: {"endpoint_id": ENDPOINT, "reason": "gone"},
    EventType.WEBHOOK_TEST: {"endpoint_id": ENDPOINT, "message": "A test of this endpoint."},
}
"""The details of the events that are not about one Space."""


def example(event_type: EventType) -> dict[str, Any]:
    """Give the full body of one event of this type."""
    body: dict[str, Any] = json.loads(encode(_event(event_type)))
    return body


def _event(event_type: EventType) -> Event:
    if event_type in PLAIN:
        watch_ids = (WATCH,) if event_type.startswith("watch.") else ()
        return plain_event(
            event_type,
            content=[ENDPOINT],
            details=PLAIN[event_type],
            observed_at=LOOKED_AT,
            watch_ids=watch_ids,
        )
    story = STORIES[event_type]
    return space_event(
        event_type,
        sequence=1 if story.before is None else 3,
        before=story.before,
        after=(story.before or PLANNED).with_values(story.changes),
        changed=tuple(story.changes),
        details=story.details,
        users={} if event_type is EventType.REDACTED else {DEVELOPERS.id: DEVELOPERS},
        sighting=Sighting(LOOKED_AT, (LOOKED_BEFORE, LOOKED_AT), story.before is None, (WATCH,)),
        occurred_at=story.occurred_at,
    )
