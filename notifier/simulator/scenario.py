"""The scenario file as models: the people, what happens to each Space, and the faults."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from notifier.simulator.behaviour import Behaviour
from notifier.simulator.fault import Fault
from notifier.simulator.times import Duration, Moment, parse_moment

SPACE_ID_PATTERN = r"^[a-zA-Z0-9]{1,13}$"
USER_ID_PATTERN = r"^[0-9]{1,19}$"
USERNAME_PATTERN = r"^[A-Za-z0-9_]{1,15}$"

SpaceId = Annotated[str, Field(pattern=SPACE_ID_PATTERN)]
UserId = Annotated[str, Field(pattern=USER_ID_PATTERN)]
TopicId = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
MomentField = Annotated[Moment, PlainValidator(parse_moment)]

FieldValue = str | bool | int | tuple[str, ...] | Moment


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class User(_Model):
    """A person who may appear in ``includes.users`` and be found by name.

    Attributes:
        suspended_at: When the account is suspended.
        protected_at: When the account becomes visible to followers only.
    """

    id: UserId
    name: str
    username: Annotated[str, Field(pattern=USERNAME_PATTERN)]
    suspended_at: Duration | None = None
    protected_at: Duration | None = None


class Topic(_Model):
    """A topic that may appear in ``includes.topics``."""

    id: TopicId
    name: str
    description: str | None = None


class SpaceChange(_Model):
    """New values of a Space's fields; ``null`` removes a field, others stay unchanged."""

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
        """Only the fields that are in the file."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Absence(StrEnum):
    """How X leaves out a Space, until a later change brings it back.

    ``gone`` is not found, ``hidden`` is not authorized, and ``left_out`` is not mentioned at all.
    """

    GONE = "gone"
    HIDDEN = "hidden"
    LEFT_OUT = "left_out"


class TimelineEntry(_Model):
    """At ``at`` seconds of the scenario the Space changes, or X stops answering for it."""

    at: Duration
    change: SpaceChange | None = Field(default=None, alias="set")
    gone: bool = False
    hidden: bool = False
    left_out: bool = False

    @property
    def absence(self) -> Absence | None:
        """How X leaves out the Space from here on; None while it answers."""
        return next((absence for absence in Absence if getattr(self, absence)), None)

    @model_validator(mode="after")
    def _either_change_or_absence(self) -> Self:
        written = [self.change is not None, self.gone, self.hidden, self.left_out]
        if sum(written) != 1:
            raise PydanticCustomError(
                "entry", "write either set: {…}, or one of gone, hidden and left_out: true"
            )
        return self


class ScriptedSpace(_Model):
    """One Space and everything that happens to it."""

    id: SpaceId
    creator_id: UserId
    timeline: Annotated[tuple[TimelineEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _timeline_makes_sense(self) -> Self:
        first = self.timeline[0].change
        if first is None or "state" not in first.values:
            raise PydanticCustomError("timeline", "the first entry must set state, because X always has one")
        times = [entry.at for entry in self.timeline]
        if times != sorted(times):
            raise PydanticCustomError("timeline", "sort the entries by time")
        return self


class Scenario(_Model):
    """A whole scenario. Create it with ``load_scenario`` or ``parse_scenario``."""

    description: str = ""
    x: Behaviour = Behaviour()
    users: tuple[User, ...] = ()
    topics: tuple[Topic, ...] = ()
    spaces: tuple[ScriptedSpace, ...] = ()
    faults: tuple[Fault, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        _refuse_duplicates("users: the id", [user.id for user in self.users])
        _refuse_duplicates("users: the username", [user.username.casefold() for user in self.users])
        _refuse_duplicates("topics: the id", [topic.id for topic in self.topics])
        _refuse_duplicates("spaces: the id", [space.id for space in self.spaces])
        return self

    @property
    def duration_seconds(self) -> float:
        """The second of the scenario after which nothing changes."""
        changes = (entry.at for space in self.spaces for entry in space.timeline)
        moments = (at for user in self.users for at in (user.suspended_at, user.protected_at))
        of_people = (at for at in moments if at is not None)
        return max((*changes, *of_people, *(fault.until for fault in self.faults)), default=0.0)


def _refuse_duplicates(what: str, ids: Sequence[str]) -> None:
    for value in ids:
        if ids.count(value) > 1:
            raise PydanticCustomError(
                "twins", "{what} {value} is defined twice", {"what": what, "value": value}
            )
