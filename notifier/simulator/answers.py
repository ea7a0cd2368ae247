"""What X answers to each of the five calls, given the Spaces at a moment: no HTTP, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from notifier.simulator.behaviour import LISTED_STATES
from notifier.simulator.contracts import DIALECTS, EXPANSIONS, TOPIC_FIELDS
from notifier.simulator.problems import Answer, invalid_request, not_authorized, not_found, suspended
from notifier.simulator.rendering import SpaceView, render_spaces, render_user, suspended_references
from notifier.simulator.scenario import SPACE_ID_PATTERN, USER_ID_PATTERN, USERNAME_PATTERN, Absence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notifier.simulator.contracts import Contract
    from notifier.simulator.parameters import ParameterReader
    from notifier.simulator.scenario import Scenario
    from notifier.simulator.scenario_time import ScenarioTime
    from notifier.simulator.timeline import Scene, SpaceState

    Responder = Callable[["AnswerContext", ParameterReader, str], Answer]
    Error = dict[str, str]

MAX_QUERY_LENGTH = 2048
MAX_RESULTS = 100


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """What an answer is made from: the state at X, and how to describe it."""

    scenario: Scenario
    scene: Scene
    contract: Contract
    time: ScenarioTime


def lookup(context: AnswerContext, reader: ParameterReader, _path_id: str) -> Answer:
    """``GET /2/spaces?ids=``: the Spaces that exist, and an error for each one that does not."""
    ids = reader.ids("ids", SPACE_ID_PATTERN)
    view = _space_view(context, reader)
    if refusals := reader.refusals():
        return invalid_request(context.contract, refusals)
    spaces = context.scene.spaces
    found = [spaces[space_id] for space_id in ids if space_id in spaces]
    missing = _absences(context, "ids", [each for each in ids if each not in spaces])
    data, includes = render_spaces(found, view)
    return _healthy(data=data, includes=includes, errors=[*missing, *_suspensions(context, found, view)])


def lookup_one(context: AnswerContext, reader: ParameterReader, path_id: str) -> Answer:
    """``GET /2/spaces/{id}``: the same for one Space; ``data`` is an object."""
    space_id = reader.matching("id", path_id, SPACE_ID_PATTERN)
    view = _space_view(context, reader)
    if refusals := reader.refusals():
        return invalid_request(context.contract, refusals)
    space = context.scene.spaces.get(space_id)
    if space is None:
        return _healthy(errors=_absences(context, "id", [space_id]))
    data, includes = render_spaces([space], view)
    return _healthy(data=data[0], includes=includes, errors=_suspensions(context, [space], view))


def by_creators(context: AnswerContext, reader: ParameterReader, _path_id: str) -> Answer:
    """``GET /2/spaces/by/creator_ids?user_ids=``: live and scheduled Spaces of these people.

    A person who is neither listed in the scenario nor the creator of a Space does not exist.
    """
    creators = reader.ids("user_ids", USER_ID_PATTERN)
    view = _space_view(context, reader)
    if refusals := reader.refusals():
        return invalid_request(context.contract, refusals)
    everyone = {user.id for user in context.scenario.users} | {
        each.creator_id for each in context.scenario.spaces
    }
    unknown = [creator for creator in creators if creator not in everyone]
    suspended_ids = [creator for creator in creators if creator in context.scene.suspended]
    protected_ids = [
        creator for creator in creators if creator in context.scene.protected - context.scene.suspended
    ]
    errors = [
        *(not_found(context.contract, "user", "user_ids", each) for each in unknown),
        *(suspended(context.contract, "user_ids", each) for each in suspended_ids),
        *(not_authorized(context.contract, "user", "user_ids", each) for each in protected_ids),
    ]
    asked = set(creators).difference(suspended_ids, protected_ids)
    return _listing(context, [space for space in _listed(context) if space.creator_id in asked], view, errors)


def search(context: AnswerContext, reader: ParameterReader, _path_id: str) -> Answer:
    """``GET /2/spaces/search?query=``: live and scheduled Spaces whose title has every word."""
    words = reader.text("query", MAX_QUERY_LENGTH).casefold().split()
    state = reader.choice("state", (*LISTED_STATES, "all"), "all")
    max_results = reader.number("max_results", 1, MAX_RESULTS)
    view = _space_view(context, reader)
    if refusals := reader.refusals():
        return invalid_request(context.contract, refusals)
    listed = [space for space in _listed(context) if state in {"all", space.state.casefold()}]
    found = [space for space in listed if _title_has(space, words)]
    return _listing(context, found[:max_results], view)


def users_by_name(context: AnswerContext, reader: ParameterReader, _path_id: str) -> Answer:
    """``GET /2/users/by?usernames=``: names are found whatever their case."""
    names = reader.ids("usernames", USERNAME_PATTERN)
    reader.choices("user.fields", DIALECTS[context.contract].user_fields)
    if refusals := reader.refusals():
        return invalid_request(context.contract, refusals)
    people = {user.username.casefold(): user for user in context.scenario.users}
    data, errors = [], []
    for name in names:
        person = people.get(name.casefold())
        if person is None:
            errors.append(not_found(context.contract, "user", "usernames", name))
        elif person.id in context.scene.suspended:
            errors.append(suspended(context.contract, "usernames", name))
        elif person.id in context.scene.protected:
            errors.append(not_authorized(context.contract, "user", "usernames", name))
        else:
            data.append(render_user(person))
    return _healthy(data=data, errors=errors)


def _space_view(context: AnswerContext, reader: ParameterReader) -> SpaceView:
    dialect = DIALECTS[context.contract]
    fields = reader.choices("space.fields", dialect.space_fields)
    expansions = reader.choices("expansions", EXPANSIONS)
    # The stand-in's people have only X's default fields, so a valid choice of user.fields changes nothing.
    reader.choices("user.fields", dialect.user_fields)
    return SpaceView(
        fields=fields | expansions | {"id", "state"},
        expansions=expansions,
        topic_fields=reader.choices("topic.fields", TOPIC_FIELDS) | {"id", "name"},
        people={user.id: user for user in context.scenario.users if user.id not in context.scene.suspended},
        suspended=context.scene.suspended,
        topics={topic.id: topic for topic in context.scenario.topics},
        timestamp=context.time.timestamp,
    )


def _listed(context: AnswerContext) -> list[SpaceState]:
    """Return the Spaces that X includes in lists."""
    return [space for space in context.scene.spaces.values() if context.scenario.x.lists(space.state)]


def _title_has(space: SpaceState, words: Sequence[str]) -> bool:
    title = str(space.fields.get("title", "")).casefold()
    return all(word in title for word in words)


def _listing(
    context: AnswerContext, found: Sequence[SpaceState], view: SpaceView, errors: Sequence[Error] = ()
) -> Answer:
    data, includes = render_spaces(found, view)
    all_errors = [*errors, *_suspensions(context, found, view)]
    return _healthy(data=data, includes=includes, errors=all_errors, meta={"result_count": len(data)})


def _absences(context: AnswerContext, parameter: str, space_ids: Sequence[str]) -> list[Error]:
    """Return the ``errors`` for Spaces that are not shown; there are none for those that X leaves out."""
    errors = []
    for space_id in space_ids:
        absence = context.scene.withheld.get(space_id, Absence.GONE)
        if absence is Absence.GONE:
            errors.append(not_found(context.contract, "space", parameter, space_id))
        elif absence is Absence.HIDDEN:
            errors.append(not_authorized(context.contract, "space", parameter, space_id))
    return errors


def _suspensions(context: AnswerContext, found: Sequence[SpaceState], view: SpaceView) -> list[Error]:
    """Return the ``errors`` for people that an expansion asked for and X does not describe."""
    named = suspended_references(found, view)
    return [suspended(context.contract, expansion, user_id) for expansion, user_id in named]


def _healthy(**parts: object) -> Answer:
    """Return a 200 with the non-empty parts; X leaves empty ones out."""
    return Answer(HTTPStatus.OK, {name: part for name, part in parts.items() if part})
