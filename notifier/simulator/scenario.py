"""The scenario file as models: who is there, what each Space does when, and which faults strike."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from notifier.simulator.behaviour import Behaviour
from notifier.simulator.times import Moment, parse_duration, parse_moment

SPACE_ID_PATTERN = r"^[a-zA-Z0-9]{1,13}$"
USER_ID_PATTERN = r"^[0-9]{1,19}$"
USERNAME_PATTERN = r"^[A-Za-z0-9_]{1,15}$"

DEFAULT_DELAY_SECONDS = 5.0
DEFAULT_LAG_SECONDS = 30.0

SpaceId = Annotated[str, Field(pattern=SPACE_ID_PATTERN)]
UserId = Annotated[str, Field(pattern=USER_ID_PATTERN)]
TopicId = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Duration = Annotated[float, PlainValidator(parse_duration)]
MomentField = Annotated[Moment, PlainValidator(parse_moment)]

FieldValue = str | bool | int | tuple[str, ...] | Moment


class Call(StrEnum):
    """The kinds of question that clients ask; ``lookup`` is by id, for one Space or for many."""

    LOOKUP = "lookup"
    CREATORS = "creators"
    SEARCH = "search"
    USERS = "users"


class FaultKind(StrEnum):
    """What can go wrong at X; ``notifier.simulator.faults`` says what each one does."""

    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"
    CREDITS_DEPLETED = "credits_depleted"
    USAGE_CAPPED = "usage_capped"
    HTML = "html"
    TRUNCATED = "truncated"
    SLOW = "slow"
    RESET = "reset"
    STALE = "stale"
    VANISH_ALL = "vanish_all"


class RateLimitShape(StrEnum):
    """The body of a 429 for a used-up window: today's problem document, or the list of codes before it."""

    WINDOW = "window"
    LEGACY = "legacy"


FAULT_OPTIONS = {
    "delay": FaultKind.SLOW,
    "lag": FaultKind.STALE,
    "every": FaultKind.STALE,
    "shape": FaultKind.RATE_LIMITED,
}
"""What one kind of fault alone can be told."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class User(_Model):
    """A person who may appear in ``includes.users`` and be found by name, until the account is suspended."""

    id: UserId
    name: str
    username: Annotated[str, Field(pattern=USERNAME_PATTERN)]
    suspended_at: Duration | None = None


class Topic(_Model):
    """A topic that may appear in ``includes.topics``."""

    id: TopicId
    name: str
    description: str | None = None


class SpaceChange(_Model):
    """New values of a Space's fields; ``null`` takes a field away, what is not written stays."""

    state: Annotated[str, Field(min_length=1)] = ""
    created_at: MomentField | None = None
    ended_at: MomentField | None = None
    host_ids: tuple[UserId, ...] | None = None
    lang: str | None = None
    is_ticketed: bool | None = None
    invited_user_ids: tuple[UserId, ...] | None = None
    participant_count: Count | None = None
    subscriber_count: Count | None = None
    scheduled_start: MomentField | None = None
    speaker_ids: tuple[UserId, ...] | None = None
    started_at: MomentField | None = None
    title: str | None = None
    topic_ids: tuple[TopicId, ...] | None = None
    updated_at: MomentField | None = None

    @property
    def values(self) -> Mapping[str, FieldValue | None]:
        """Only the fields that the file wrote."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class TimelineEntry(_Model):
    """At ``at`` seconds of the play the Space changes, or is gone from X (a later change brings it back)."""

    at: Duration
    change: SpaceChange | None = Field(default=None, alias="set")
    gone: bool = False

    @model_validator(mode="after")
    def _either_change_or_gone(self) -> Self:
        if (self.change is None) != self.gone:
            raise PydanticCustomError("entry", "write either set: {…} or gone: true")
        return self


class ScriptedSpace(_Model):
    """One Space and all that will happen to it."""

    id: SpaceId
    creator_id: UserId
    timeline: Annotated[tuple[TimelineEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _timeline_makes_sense(self) -> Self:
        first = self.timeline[0].change
        if first is None or "state" not in first.values:
            raise PydanticCustomError("timeline", "the first entry must set state: X always gives one")
        times = [entry.at for entry in self.timeline]
        if times != sorted(times):
            raise PydanticCustomError("timeline", "put the entries in the order of their times")
        return self


class Fault(_Model):
    """From ``at``, for ``lasts`` seconds of the play, the named calls (default: all) go wrong.

    Attributes:
        delay: How many seconds of the play a slow answer takes.
        lag: How many seconds of the play a stale answer is old.
        every: Every how many requests of a call reach a replica that lags; 1 is all of them.
        shape: The body of a 429.
    """

    at: Duration
    lasts: Duration = Field(alias="for")
    kind: FaultKind
    calls: Annotated[tuple[Call, ...], Field(min_length=1)] = tuple(Call)
    delay: Duration = DEFAULT_DELAY_SECONDS
    lag: Duration = DEFAULT_LAG_SECONDS
    every: Annotated[int, Field(ge=1)] = 1
    shape: RateLimitShape = RateLimitShape.WINDOW

    @property
    def until(self) -> float:
        """The first second of the play at which the fault is over."""
        return self.at + self.lasts

    @model_validator(mode="after")
    def _options_belong_to_the_kind(self) -> Self:
        for name, kind in FAULT_OPTIONS.items():
            if name in self.model_fields_set and self.kind is not kind:
                raise PydanticCustomError(
                    "fault", "only kind {kind} takes {name}", {"kind": kind, "name": name}
                )
        return self


class Scenario(_Model):
    """A whole play. Build it with ``load_scenario`` or ``parse_scenario``."""

    description: str = ""
    x: Behaviour = Behaviour()
    users: tuple[User, ...] = ()
    topics: tuple[Topic, ...] = ()
    spaces: tuple[ScriptedSpace, ...] = ()
    faults: tuple[Fault, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        _refuse_twins("users: the id", [user.id for user in self.users])
        _refuse_twins("users: the username", [user.username.casefold() for user in self.users])
        _refuse_twins("topics: the id", [topic.id for topic in self.topics])
        _refuse_twins("spaces: the id", [space.id for space in self.spaces])
        return self

    @property
    def duration_seconds(self) -> float:
        """The moment of the play after which nothing changes any more."""
        changes = (entry.at for space in self.spaces for entry in space.timeline)
        suspensions = (user.suspended_at for user in self.users if user.suspended_at is not None)
        return max((*changes, *suspensions, *(fault.until for fault in self.faults)), default=0.0)


def _refuse_twins(what: str, ids: Sequence[str]) -> None:
    for value in ids:
        if ids.count(value) > 1:
            raise PydanticCustomError("twins", "{what} {value} stands twice", {"what": what, "value": value})
