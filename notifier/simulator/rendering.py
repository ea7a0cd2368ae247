"""Spaces, people and topics as JSON objects, with the fields that were requested."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from notifier.simulator.times import RelativeTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from notifier.simulator.scenario import FieldValue, Topic, User
    from notifier.simulator.timeline import SpaceState
    from notifier.simulator.times import Moment


@dataclass(frozen=True, slots=True)
class SpaceView:
    """What a client requested about Spaces, and the people and topics in them.

    Attributes:
        people: The people that are described, by id, without suspended ones.
        suspended: The ids of suspended people.
    """

    fields: frozenset[str]
    expansions: frozenset[str]
    topic_fields: frozenset[str]
    people: Mapping[str, User]
    suspended: frozenset[str]
    topics: Mapping[str, Topic]
    timestamp: Callable[[Moment], str]


def render_spaces(
    spaces: Sequence[SpaceState], view: SpaceView
) -> tuple[list[dict[str, object]], dict[str, list[dict[str, str]]]]:
    """Return the ``data`` list and the ``includes`` object; people not in the scenario are left out."""
    topic_ids = _referenced(spaces, view.expansions & {"topic_ids"})
    user_ids = _referenced(spaces, view.expansions - {"topic_ids"})
    includes = {
        "users": [render_user(view.people[user_id]) for user_id in user_ids if user_id in view.people],
        "topics": [_render_topic(view.topics[topic], view) for topic in topic_ids if topic in view.topics],
    }
    filled = {name: objects for name, objects in includes.items() if objects}
    return [_render_space(space, view) for space in spaces], filled


def suspended_references(spaces: Sequence[SpaceState], view: SpaceView) -> list[tuple[str, str]]:
    """Return each suspended account that the Spaces name, with the expansion that asked for it."""
    return [
        (field, user_id)
        for field in sorted(view.expansions - {"topic_ids"})
        for user_id in _referenced(spaces, frozenset({field}))
        if user_id in view.suspended
    ]


def render_user(user: User) -> dict[str, str]:
    """Return the three fields that X always includes for a person."""
    return {"id": user.id, "name": user.name, "username": user.username}


def _render_space(space: SpaceState, view: SpaceView) -> dict[str, object]:
    """Return the requested fields that have a value; an empty list counts as no value, as at X."""
    everything = {"id": space.id, "creator_id": space.creator_id, **space.fields}
    return {
        name: _render_value(value, view)
        for name, value in everything.items()
        if name in view.fields and value != ()
    }


def _render_value(value: FieldValue, view: SpaceView) -> object:
    if isinstance(value, RelativeTime | datetime):
        return view.timestamp(value)
    return list(value) if isinstance(value, tuple) else value


def _render_topic(topic: Topic, view: SpaceView) -> dict[str, str]:
    everything = {"id": topic.id, "name": topic.name, "description": topic.description}
    return {
        name: value for name, value in everything.items() if value is not None and name in view.topic_fields
    }


def _referenced(spaces: Iterable[SpaceState], fields: frozenset[str]) -> list[str]:
    """Return every id that the Spaces name in ``fields``, once, in the order of the Spaces."""
    ids: dict[str, None] = {}
    for space in spaces:
        if "creator_id" in fields:
            ids[space.creator_id] = None
        for name in sorted(fields):
            value = space.fields.get(name, ())
            if isinstance(value, tuple):
                ids |= dict.fromkeys(value)
    return list(ids)
