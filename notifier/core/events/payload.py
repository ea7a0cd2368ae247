"""The body of an event as pydantic models: what all events have, and what events about a Space add.

The models describe what :mod:`.event` builds; a test compares the two. Receivers must ignore unknown names,
so the models do too. What a thin payload leaves out (lists of people, ``users``, ``previous``) is optional
here, so one schema is valid for both forms.
"""

from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, Field, create_model

from notifier.core.model.space import FIELD_KINDS, FieldKind


def _omittable(schema: dict[str, Any]) -> None:
    """Describe a field that is left out, and never null, if it has no value."""
    schema.pop("default", None)
    schema.update(next(option for option in schema.pop("anyOf") if option != {"type": "null"}))


def left_out(description: str | None = None) -> Any:  # noqa: ANN401  the type of pydantic's Field
    """Return the field of a model that is left out, and never null, if it has no value."""
    return Field(default=None, description=description, json_schema_extra=_omittable)


VALUE_TYPES: Final[dict[FieldKind, Any]] = {
    FieldKind.TEXT: str,
    FieldKind.TIME: str,
    FieldKind.FLAG: bool,
    FieldKind.COUNT: int,
    FieldKind.IDS: list[str],
}

_FIELDS: Final[dict[str, Any]] = {
    name: (VALUE_TYPES[kind] | None, left_out()) for name, kind in FIELD_KINDS.items()
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
    """A person in the Space."""

    id: str
    name: str
    username: str


class EventPayload(BaseModel):
    """What every body has."""

    timestamp: str = Field(description="When it happened if X states it, else when we saw it (RFC 3339).")


DetailsT = TypeVar("DetailsT", bound=BaseModel)


class PlainData(BaseModel, Generic[DetailsT]):
    """The ``data`` of an event that is not about one Space."""

    id: str = Field(
        description="The event's id, equal to the webhook-id header and the same on every attempt."
    )
    details: DetailsT
    occurred_at: str | None = Field(description="When it happened, if that is known.")
    observed_at: str = Field(description="When we saw it.")
    inferred: bool = Field(description="Concluded from silence rather than stated by X.")
    watch_ids: list[str]
    truncated: bool | None = left_out("Lists, and texts if necessary, were cut to keep the body under 20 kB.")
    counts: dict[str, int] | None = left_out(
        "The lengths of the lists of the Space and of the details before they were cut."
    )


class SpaceData(PlainData[DetailsT], Generic[DetailsT]):
    """The ``data`` of an event about a Space."""

    sequence: int = Field(ge=1, description="The event's number among those of its Space, without gaps.")
    space: SpaceObject
    users: list[UserObject] | None = left_out()
    previous: SpaceValues | None = left_out("The former values of the changed fields, if they were known.")
    changed: list[str] = Field(
        description="The fields that changed. One that is not in `space` was withdrawn: it is unknown again."
    )
    observed_between: tuple[str, str] = Field(
        description="The last poll before the change and the first after it."
    )
    first_sighting: bool = Field(description="We had not seen this Space before.")
    url: str
