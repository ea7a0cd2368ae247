"""What stands under ``data`` in the body of an event, as pydantic models.

The models describe what :mod:`.event` builds; a test holds the two together. Receivers must
ignore names that they do not know, so the models do too. What is left out of a thin payload (lists of people,
``users``, ``previous``) is optional here: one schema holds for both forms.
"""

from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, create_model

from notifier.core.model.reasons import DisabledReason, TroubleKind
from notifier.core.model.space import FIELD_KINDS, FieldKind


def _omittable(schema: dict[str, Any]) -> None:
    """Describe a field that is left out, and never null, where it has no value."""
    schema.pop("default", None)
    schema.update(next(option for option in schema.pop("anyOf") if option != {"type": "null"}))


def _left_out(description: str | None = None) -> Any:  # noqa: ANN401  what pydantic's own Field gives
    return Field(default=None, description=description, json_schema_extra=_omittable)


VALUE_TYPES: Final[dict[FieldKind, Any]] = {
    FieldKind.TEXT: str,
    FieldKind.TIME: str,
    FieldKind.FLAG: bool,
    FieldKind.COUNT: int,
    FieldKind.IDS: list[str],
}

_FIELDS: Final[dict[str, Any]] = {
    name: (VALUE_TYPES[kind] | None, _left_out()) for name, kind in FIELD_KINDS.items()
}

SpaceValues: Final = create_model(
    "SpaceValues",
    __doc__="Fields of a Space under X's names; an unknown one is left out.",
    __base__=BaseModel,
    **_FIELDS,
)
SpaceObject: Final = create_model(
    "SpaceObject",
    __base__=SpaceValues,
    __doc__="A Space with every field that is known; in a thin payload the id alone.",
    id=(str, ...),
)


class UserObject(BaseModel):
    """A person whom the Space names."""

    id: str
    name: str
    username: str


class NoDetails(BaseModel):
    """Nothing beyond the envelope."""


class RescheduledDetails(BaseModel):
    """How far the start moved."""

    delta_seconds: float | None = Field(
        description="Positive when the Space was put off, negative when it was advanced; null when either"
        " start makes no sense."
    )


class StartedDetails(BaseModel):
    """How the start compares with the plan."""

    late_by_seconds: float | None = Field(
        description="From the planned to the real start; negative when early, null when either is unknown or"
        " makes no sense."
    )
    unscheduled: bool = Field(description="Whether the Space went live without having been planned.")


class EndedDetails(BaseModel):
    """How the Space went."""

    duration_seconds: float | None = Field(
        description="From start to end, null when either is unknown or they make no sense."
    )
    peak_participant_count: int | None = Field(description="The highest count that we saw, null for none.")
    ended_between: tuple[str, str] | None = _left_out(
        "Given when X does not say when it ended: the last look that found the Space going on and the first"
        " that did not."
    )
    reason: Literal["inaccessible"] | None = _left_out(
        "Given when the end is inferred because X, for hours, neither showed the Space nor called it missing."
    )


class CanceledDetails(BaseModel):
    """How we know."""

    reason: Literal["explicit", "not_found", "never_started", "inaccessible"] = Field(
        description="X said so; X does not know the Space any more; it ended without having started; or X,"
        " for hours, neither showed it nor called it missing."
    )


class HostsChangedDetails(BaseModel):
    """Who came and who went, as user ids."""

    added: list[str] | None = _left_out()
    removed: list[str] | None = _left_out()


class SpeakersAddedDetails(BaseModel):
    """Who is new, as user ids."""

    added: list[str] | None = _left_out()
    total: int = Field(description="How many people have spoken so far.")


class CorrectedDetails(BaseModel):
    """What to take back."""

    retracts: str | None = Field(
        description="The id of the event that turned out wrong; null where no event had told of that."
    )


class MilestoneDetails(BaseModel):
    """What was reached."""

    threshold: int = Field(description="The round number of listeners.")


class ReminderDetails(BaseModel):
    """How soon it begins."""

    minutes_before: float = Field(
        description="As set; less where the reminder was held up because X could not be asked."
    )


class OverdueDetails(BaseModel):
    """How late it is."""

    overdue_seconds: float = Field(description="From the planned start to the look that found it waiting.")


class SourceDetails(BaseModel):
    """What is wrong with X, or was."""

    kind: TroubleKind = Field(
        description="X fails or cannot be reached; grants no more requests in this window; in this month; the"
        " credits are used up; the credentials do not reach; X does not accept what we ask; too many Spaces"
        " are suddenly not found."
    )
    since: str = Field(description="When it began; the same in the event that tells of its end.")


class DegradedDetails(SourceDetails):
    """What is wrong with X."""

    detail: str = Field(description="The same for people, in X's own words where it has any.")


class RecoveredDetails(SourceDetails):
    """What was wrong with X."""

    after_seconds: float = Field(description="How long it lasted.")


class DisabledDetails(BaseModel):
    """Which endpoint, and why."""

    endpoint_id: str
    reason: DisabledReason = Field(
        description="By hand; the receiver answered 410 Gone; it has only failed for days; "
        "or it did not answer the challenge."
    )


class WatchSummary(BaseModel):
    """The watch that was added."""

    id: str
    kind: str
    target: str


class BaselineDetails(BaseModel):
    """What the watch found on its first look."""

    watch: WatchSummary
    spaces: list[SpaceObject] | None = _left_out()


class FailedDetails(BaseModel):
    """Which watch, and why."""

    watch: WatchSummary
    reason: str = Field(description="For people, in X's own words where it has any.")
    since: str = Field(description="When X refused its subject for the first time.")


class TestDetails(BaseModel):
    """What was asked for."""

    __test__ = False  # not one of pytest's

    endpoint_id: str
    message: str


DetailsT = TypeVar("DetailsT", bound=BaseModel)


class PlainData(BaseModel, Generic[DetailsT]):
    """The ``data`` of an event that is not about one Space."""

    id: str = Field(
        description="The event's id, equal to the webhook-id header and the same on every attempt."
    )
    details: DetailsT
    occurred_at: str | None = Field(description="When it happened, where that is known.")
    observed_at: str = Field(description="When we saw it.")
    inferred: bool = Field(description="Concluded from silence rather than told by X.")
    watch_ids: list[str]
    truncated: bool | None = _left_out(
        "Lists, and texts where that is not enough, were cut to keep the body under 20 kB."
    )
    counts: dict[str, int] | None = _left_out(
        "How long the lists of the Space and of the details were before the cut."
    )


class SpaceData(PlainData[DetailsT], Generic[DetailsT]):
    """The ``data`` of an event about a Space."""

    sequence: int = Field(ge=1, description="The event's place among those of its Space, without gaps.")
    space: SpaceObject
    users: list[UserObject] | None = _left_out()
    previous: SpaceValues | None = _left_out("The former values of what changed, where they were known.")
    changed: list[str] = Field(
        description="The fields that changed. One that is not in `space` was taken back: it is unknown again."
    )
    observed_between: tuple[str, str] = Field(
        description="The last look before the change and the first after it."
    )
    first_sighting: bool = Field(description="We had not seen this Space before.")
    url: str
