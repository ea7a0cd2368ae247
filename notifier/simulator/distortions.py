"""The faults whose answers look healthy but are late, old, incomplete or malformed."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from notifier.simulator.asked import Parameter
from notifier.simulator.faulted_request import http_response
from notifier.simulator.problems import Answer
from notifier.simulator.scenario import Absence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import web

    from notifier.simulator.faulted_request import FaultedRequest

_PARTS: Final = ("data", "includes", "errors")
_ALWAYS_SHOWN: Final = ("id", "state")


async def slow(faulted: FaultedRequest) -> web.Response:
    """Answer late, with the state at the time of the request."""
    response = http_response(faulted.true_answer())
    await asyncio.sleep(faulted.time.real_seconds(faulted.fault.delay))
    return response


async def stale(faulted: FaultedRequest) -> web.Response:
    """Answer from a lagging replica."""
    return http_response(faulted.answer(faulted.scene(seconds_ago=faulted.fault.lag)))


async def vanish_all(faulted: FaultedRequest) -> web.Response:
    """Answer as if there were no Spaces."""
    scene = faulted.scene()
    return http_response(faulted.answer(scene.without(scene.spaces, Absence.GONE)))


async def vanish(faulted: FaultedRequest) -> web.Response:
    """Answer as if these Spaces were gone."""
    return _answer_without(faulted, Absence.GONE)


async def inaccessible(faulted: FaultedRequest) -> web.Response:
    """Answer that access to these Spaces is not authorized."""
    return _answer_without(faulted, Absence.HIDDEN)


async def left_out(faulted: FaultedRequest) -> web.Response:
    """Answer without mentioning these Spaces."""
    return _answer_without(faulted, Absence.LEFT_OUT)


async def nulls(faulted: FaultedRequest) -> web.Response:
    """Answer null where X would leave a field out."""
    parameters = faulted.asked.parameters
    wanted = (Parameter.SPACE_FIELDS, Parameter.EXPANSIONS)
    fields = {name for parameter in wanted for name in parameters.get(parameter, ())}
    return http_response(_with_nulls(faulted.true_answer(), fields))


async def twins(faulted: FaultedRequest) -> web.Response:
    """Answer with two records of the same Space, the second with fewer fields."""
    return http_response(_with_twins(faulted.true_answer(), faulted.fault.subjects))


def _answer_without(faulted: FaultedRequest, absence: Absence) -> web.Response:
    return http_response(faulted.answer(faulted.scene().without(faulted.fault.subjects or (), absence)))


def _with_nulls(answer: Answer, fields: Iterable[str]) -> Answer:
    """Return a healthy answer with null for each missing part and each missing requested field."""
    if answer.status != HTTPStatus.OK:
        return answer
    body = {**dict.fromkeys(_PARTS), **answer.body}
    data = body["data"]
    if isinstance(data, list):
        body["data"] = [{**dict.fromkeys(fields), **space} for space in data]
    elif isinstance(data, dict):
        body["data"] = {**dict.fromkeys(fields), **data}
    return Answer(answer.status, body)


def _with_twins(answer: Answer, space_ids: Iterable[str] | None) -> Answer:
    """Return an answer with a second, smaller record of each of these Spaces; ``meta`` counts it."""
    data = answer.body.get("data")
    if not isinstance(data, list):
        return answer
    doubled = set(space_ids) if space_ids is not None else {space["id"] for space in data}
    records = [*data, *(_bare(space) for space in data if space["id"] in doubled)]
    body = {**answer.body, "data": records}
    if "meta" in body:
        body["meta"] = {"result_count": len(records)}
    return Answer(answer.status, body)


def _bare(space: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in space.items() if name in _ALWAYS_SHOWN}
