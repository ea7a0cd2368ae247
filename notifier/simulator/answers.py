"""What X answers to each of the five calls, given the Spaces that stand there: no HTTP, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from notifier.simulator.contracts import DIALECTS, EXPANSIONS, TOPIC_FIELDS
from notifier.simulator.problems import Answer, invalid_request, not_found
from notifier.simulator.rendering import SpaceView, render_spaces, render_user
from notifier.simulator.scenario import SPACE_ID_PATTERN, USER_ID_PATTERN, USERNAME_PATTERN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from notifier.simulator.contracts import Contract
    from notifier.simulator.parameters import ParameterReader
    from notifier.simulator.play import Play
    from notifier.simulator.scenario import Scenario
    from notifier.simulator.timeline import PlayedSpace

    Responder = Callable[["Stage", ParameterReader, str], Answer]

MAX_QUERY_LENGTH = 2048
MAX_RESULTS = 100
LISTED_STATES = ("live", "scheduled")


@dataclass(frozen=True, slots=True)
class Stage:
    """What an answer is made from: the Spaces of one moment, and how they are to be told."""

    scenario: Scenario
    spaces: Mapping[str, PlayedSpace]
    contract: Contract
    play: Play


def lookup(stage: Stage, reader: ParameterReader, _path_id: str) -> Answer:
    """``GET /2/spaces?ids=``: the Spaces that exist, and an error for each one that does not."""
    ids = reader.ids("ids", SPACE_ID_PATTERN)
    view = _space_view(stage, reader)
    if refusals := reader.refusals():
        return invalid_request(stage.contract, refusals)
    found = [stage.spaces[space_id] for space_id in ids if space_id in stage.spaces]
    missing = [space_id for space_id in ids if space_id not in stage.spaces]
    data, includes = render_spaces(found, view)
    errors = [not_found(stage.contract, "space", "ids", space_id) for space_id in missing]
    return _healthy(data=data, includes=includes, errors=errors)


def lookup_one(stage: Stage, reader: ParameterReader, path_id: str) -> Answer:
    """``GET /2/spaces/{id}``: the same for one Space; ``data`` is an object."""
    space_id = reader.matching("id", path_id, SPACE_ID_PATTERN)
    view = _space_view(stage, reader)
    if refusals := reader.refusals():
        return invalid_request(stage.contract, refusals)
    space = stage.spaces.get(space_id)
    if space is None:
        return _healthy(errors=[not_found(stage.contract, "space", "id", space_id)])
    data, includes = render_spaces([space], view)
    return _healthy(data=data[0], includes=includes)


def by_creators(stage: Stage, reader: ParameterReader, _path_id: str) -> Answer:
    """``GET /2/spaces/by/creator_ids?user_ids=``: live and scheduled Spaces of these people."""
    creators = reader.ids("user_ids", USER_ID_PATTERN)
    view = _space_view(stage, reader)
    if refusals := reader.refusals():
        return invalid_request(stage.contract, refusals)
    return _listing([space for space in _listed(stage) if space.creator_id in creators], view)


def search(stage: Stage, reader: ParameterReader, _path_id: str) -> Answer:
    """``GET /2/spaces/search?query=``: live and scheduled Spaces whose title has every word."""
    words = reader.text("query", MAX_QUERY_LENGTH).casefold().split()
    state = reader.choice("state", (*LISTED_STATES, "all"), "all")
    max_results = reader.number("max_results", 1, MAX_RESULTS)
    view = _space_view(stage, reader)
    if refusals := reader.refusals():
        return invalid_request(stage.contract, refusals)
    found = [space for space in _listed(stage) if state in {"all", space.state} and _title_has(space, words)]
    return _listing(found[:max_results], view)


def users_by_name(stage: Stage, reader: ParameterReader, _path_id: str) -> Answer:
    """``GET /2/users/by?usernames=``: names are found whatever their case."""
    names = reader.ids("usernames", USERNAME_PATTERN)
    reader.choices("user.fields", DIALECTS[stage.contract].user_fields)
    if refusals := reader.refusals():
        return invalid_request(stage.contract, refusals)
    people = {user.username.casefold(): user for user in stage.scenario.users}
    data = [render_user(people[name.casefold()]) for name in names if name.casefold() in people]
    missing = [name for name in names if name.casefold() not in people]
    errors = [not_found(stage.contract, "user", "usernames", name) for name in missing]
    return _healthy(data=data, errors=errors)


def _space_view(stage: Stage, reader: ParameterReader) -> SpaceView:
    dialect = DIALECTS[stage.contract]
    fields = reader.choices("space.fields", dialect.space_fields)
    expansions = reader.choices("expansions", EXPANSIONS)
    # The stand-in's people have only what is always told, so a valid choice of user.fields changes nothing.
    reader.choices("user.fields", dialect.user_fields)
    return SpaceView(
        fields=fields | expansions | {"id", "state"},
        expansions=expansions,
        topic_fields=reader.choices("topic.fields", TOPIC_FIELDS) | {"id", "name"},
        people={user.id: user for user in stage.scenario.users},
        topics={topic.id: topic for topic in stage.scenario.topics},
        timestamp=stage.play.timestamp,
    )


def _listed(stage: Stage) -> list[PlayedSpace]:
    """The Spaces that X lists without being asked for them by id."""
    return [space for space in stage.spaces.values() if space.state in LISTED_STATES]


def _title_has(space: PlayedSpace, words: Sequence[str]) -> bool:
    title = str(space.fields.get("title", "")).casefold()
    return all(word in title for word in words)


def _listing(found: Sequence[PlayedSpace], view: SpaceView) -> Answer:
    data, includes = render_spaces(found, view)
    return _healthy(data=data, includes=includes, meta={"result_count": len(data)})


def _healthy(**parts: object) -> Answer:
    """A 200 of the parts that hold something; X leaves empty ones out."""
    return Answer(HTTPStatus.OK, {name: part for name, part in parts.items() if part})
