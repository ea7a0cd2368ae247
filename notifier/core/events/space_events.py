"""The event types about a Space: a row for each, with the model of its details."""

from typing import Final, Literal

from pydantic import BaseModel, Field

from notifier.core.events.event import EventType
from notifier.core.events.occasion import OVERDUE, REMINDER, planned
from notifier.core.events.payload import left_out
from notifier.core.events.rows import ExampleChange, SpaceEvent
from notifier.core.model.ids import SpaceId
from notifier.core.model.space import Space

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


class NoDetails(BaseModel):
    """Nothing beyond the envelope."""


class RescheduledDetails(BaseModel):
    """How far the start moved."""

    delta_seconds: float | None = Field(
        description="Positive if the Space was postponed, negative if it was brought forward; null if either"
        " start makes no sense."
    )


class StartedDetails(BaseModel):
    """How the start compares with the plan."""

    late_by_seconds: float | None = Field(
        description="From the planned to the actual start; negative if early, null if either is unknown or"
        " makes no sense."
    )
    unscheduled: bool = Field(description="Whether the Space went live without having been planned.")


class EndedDetails(BaseModel):
    """How long the Space lasted."""

    duration_seconds: float | None = Field(
        description="From start to end, null when either is unknown or they make no sense."
    )
    peak_participant_count: int | None = Field(description="The highest count observed; null if none was.")
    ended_between: tuple[str, str] | None = left_out(
        "Given if X does not say when it ended: the last poll that found the Space live and the first"
        " that did not."
    )
    reason: Literal["inaccessible"] | None = left_out(
        "Given if the end is inferred because X, for hours, neither showed the Space nor reported it missing."
    )


class CanceledDetails(BaseModel):
    """How we know."""

    reason: Literal["explicit", "not_found", "never_started", "inaccessible"] = Field(
        description="X said so; X no longer has the Space; it ended without having started; or X,"
        " for hours, neither showed it nor reported it missing."
    )


class HostsChangedDetails(BaseModel):
    """Who was added and who was removed, as user ids."""

    added: list[str] | None = left_out()
    removed: list[str] | None = left_out()


class SpeakersAddedDetails(BaseModel):
    """Who is new, as user ids."""

    added: list[str] | None = left_out()
    total: int = Field(description="How many people have spoken so far.")


class CorrectedDetails(BaseModel):
    """What to retract."""

    retracts: str | None = Field(
        description="The id of the event that turned out to be wrong; null if no event had announced it."
    )


class MilestoneDetails(BaseModel):
    """What was reached."""

    threshold: int = Field(description="The round number of listeners.")


class ReminderDetails(BaseModel):
    """How soon it starts."""

    minutes_before: float = Field(
        description="As configured; less if the reminder was delayed because X could not be polled."
    )


class OverdueDetails(BaseModel):
    """How late it is."""

    overdue_seconds: float = Field(
        description="From the scheduled start to the poll that found it still waiting."
    )


SPACE_EVENTS: Final = (
    SpaceEvent(
        EventType.SCHEDULED,
        "Sent when a Space that is planned for later is seen for the first time.",
        NoDetails,
        ExampleChange(None, PLANNED.known(), occurred_at=PLANNED.created_at),
    ),
    SpaceEvent(
        EventType.RESCHEDULED,
        "Sent when the planned start of a Space moves before it has begun.",
        RescheduledDetails,
        ExampleChange(PLANNED, {"scheduled_start": "2021-07-14T09:30:00.000Z"}, {"delta_seconds": 5400}),
    ),
    SpaceEvent(
        EventType.STARTED,
        "Sent when a Space goes live, or is already live when it is first seen.",
        StartedDetails,
        ExampleChange(
            PLANNED,
            {"state": "live", "started_at": "2021-07-14T08:00:12.000Z"},
            {"late_by_seconds": 12, "unscheduled": False},
            occurred_at=LIVE.started_at,
        ),
    ),
    SpaceEvent(
        EventType.ENDED,
        "Sent when a live Space ends, or X repeatedly no longer knows it.",
        EndedDetails,
        ExampleChange(
            LIVE,
            {"state": "ended", "ended_at": "2021-07-14T08:00:16.000Z"},
            {"duration_seconds": 4, "peak_participant_count": 118},
            occurred_at=OVER.ended_at,
        ),
    ),
    SpaceEvent(
        EventType.CANCELED,
        "Sent when a planned Space will not take place.",
        CanceledDetails,
        ExampleChange(PLANNED, {"state": "canceled"}, {"reason": "explicit"}),
    ),
    SpaceEvent(
        EventType.TITLE_CHANGED,
        "Sent when a Space gets another title before it is over.",
        NoDetails,
        ExampleChange(PLANNED, {"title": "Say hello to Spaces"}),
    ),
    SpaceEvent(
        EventType.HOSTS_CHANGED,
        "Sent when people become hosts of a Space or are no longer hosts of it.",
        HostsChangedDetails,
        ExampleChange(LIVE, {"host_ids": ("2244994945", "6253282")}, {"added": ["6253282"], "removed": []}),
    ),
    SpaceEvent(
        EventType.SPEAKERS_ADDED,
        (
            "Sent when people speak in a Space who have not spoken in it before; once per poll, for "
            "all of them."
        ),
        SpeakersAddedDetails,
        ExampleChange(LIVE, {"speaker_ids": ("2244994945", "6253282")}, {"added": ["6253282"], "total": 2}),
    ),
    SpaceEvent(
        EventType.UPDATED,
        "Sent when anything else about a Space changes: language, tickets, topics, invitations.",
        NoDetails,
        ExampleChange(PLANNED, {"is_ticketed": True, "topic_ids": ("848920371311001600",)}),
    ),
    SpaceEvent(
        EventType.PARTICIPANTS_MILESTONE,
        (
            "Sent when the listeners of a Space reach 100, 500, 1000, 5000, 10000 and so on, once for "
            "each number.\n\n"
            "Numbers that were reached before the Space was first seen are not announced."
        ),
        MilestoneDetails,
        ExampleChange(LIVE, {}, {"threshold": 100}),
        occasion=lambda data: str(data["details"]["threshold"]),
    ),
    SpaceEvent(
        EventType.REMINDER,
        (
            "Sent some minutes before the planned start of a Space, once for each planned start.\n\n"
            "A start that becomes known later than that has no reminder."
        ),
        ReminderDetails,
        ExampleChange(PLANNED, {}, {"minutes_before": 15}),
        occasion=planned(REMINDER),
    ),
    SpaceEvent(
        EventType.START_OVERDUE,
        ("Sent when a Space still waits some minutes after its planned start, once for each planned start."),
        OverdueDetails,
        ExampleChange(PLANNED, {}, {"overdue_seconds": 600.412}),
        occasion=planned(OVERDUE),
    ),
    SpaceEvent(
        EventType.CORRECTED,
        "Sent when an end, a cancellation or a start was wrong: X shows the Space as it was before.",
        CorrectedDetails,
        ExampleChange(OVER, {"state": "live"}, {"retracts": RETRACTED}),
    ),
    SpaceEvent(
        EventType.REDACTED,
        (
            "Sent when X no longer has a Space: erase what you keep of its content.\n\n"
            "It has been erased from our own records, including earlier events of the Space."
        ),
        NoDetails,
        ExampleChange(Space(id=PLANNED.id), {}),
    ),
)
