"""The faults that replace the answer with a failure."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from notifier.simulator.fault import Naming, Shape, Window
from notifier.simulator.faulted_request import http_response
from notifier.simulator.limits import QUARTER_HEADERS, RateState
from notifier.simulator.problems import (
    Answer,
    Refusal,
    credits_depleted,
    invalid_request,
    old_rate_limit,
    phrase,
    plain_problem,
    unnamed_invalid_request,
    usage_capped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notifier.simulator.faulted_request import FaultedRequest

_MONTHLY_CAP: Final = 40_000
_DAILY_LIMIT: Final = 10_000
_WINDOW_HEADERS: Final = {
    Window.QUARTER: QUARTER_HEADERS,
    Window.DAY: "x-app-limit-24hour",
    Window.USER_DAY: "x-user-limit-24hour",
}
_INNER_ERRORS: Final[Mapping[Shape, Mapping[str, object]]] = {
    Shape.CODE: {"errors": [{"code": 130, "message": "Over capacity"}]},
    Shape.PROBLEM: {"errors": [plain_problem(HTTPStatus.SERVICE_UNAVAILABLE).body]},
    Shape.COUNT: {"meta": {"result_count": 1}},
    Shape.TOP: plain_problem(HTTPStatus.SERVICE_UNAVAILABLE).body,
}


async def unavailable(faulted: FaultedRequest) -> web.Response:
    """Answer 503, or another 5xx."""
    return http_response(plain_problem(faulted.fault.http_status), _retry_after(faulted))


async def rate_limited(faulted: FaultedRequest) -> web.Response:
    """Answer 429, with the used-up window in the headers."""
    fault = faulted.fault
    window = RateState(
        limit=faulted.limit if fault.window is Window.QUARTER else _DAILY_LIMIT,
        remaining=fault.remaining,
        reset=_reset(faulted),
        name=_WINDOW_HEADERS[fault.window],
    )
    is_old = fault.body_shape is Shape.LEGACY
    answer = old_rate_limit() if is_old else plain_problem(HTTPStatus.TOO_MANY_REQUESTS)
    return http_response(answer, {**window.headers, **_retry_after(faulted)})


async def unauthorized(_faulted: FaultedRequest) -> web.Response:
    """Answer 401."""
    return http_response(plain_problem(HTTPStatus.UNAUTHORIZED))


async def forbidden(_faulted: FaultedRequest) -> web.Response:
    """Answer 403."""
    return http_response(plain_problem(HTTPStatus.FORBIDDEN))


async def out_of_credits(faulted: FaultedRequest) -> web.Response:
    """Answer that no credits are left."""
    fault = faulted.fault
    return http_response(_typed(faulted, credits_depleted(faulted.contract, fault.http_status, fault.title)))


async def capped(faulted: FaultedRequest) -> web.Response:
    """Answer that the monthly cap is reached, while the window looks nearly unused."""
    fault = faulted.fault
    window = RateState(limit=_MONTHLY_CAP, remaining=_MONTHLY_CAP - 1, reset=_reset(faulted))
    answer = _typed(faulted, usage_capped(faulted.contract, fault.http_status, fault.title))
    return http_response(answer, {**window.headers, **_retry_after(faulted)})


async def refused(faulted: FaultedRequest) -> web.Response:
    """Answer 400, and name what is refused as the scenario specifies."""
    parameter, naming = faulted.fault.parameter, faulted.fault.naming
    if parameter is None or naming is Naming.NONE:
        return http_response(unnamed_invalid_request(faulted.contract))
    values, sent = faulted.fault.refused_of(faulted.asked), faulted.asked.parameters[parameter]
    by_value = [f"The `{parameter}` query parameter value [{value}] is not accepted" for value in values]
    message = f"The `{parameter}` query parameter is not accepted"
    refusals = {
        Naming.LIST: [Refusal(parameter, (value,), by_value[at]) for at, value in enumerate(values)],
        Naming.TEXT: [Refusal(parameter, (",".join(values),), message)],
        Naming.WHOLE: [Refusal(parameter, (",".join(sent),), message)],
        Naming.MESSAGE: [Refusal(parameter, (",".join(sent),), each) for each in by_value],
    }
    return http_response(invalid_request(faulted.contract, refusals[naming]))


async def html(faulted: FaultedRequest) -> web.Response:
    """Answer with an HTML page of X's edge servers, with any status."""
    status = faulted.fault.http_status
    words = f"{status} {phrase(status)}"
    page = (
        f"<!DOCTYPE html>\n<html><head><title>{words}</title></head>\n"
        f"<body><h1>{words}</h1><p>The server is over capacity.</p></body></html>\n"
    )
    return web.Response(status=status, text=page, content_type="text/html")


async def truncated(faulted: FaultedRequest) -> web.Response:
    """Answer with half of the body and a matching length, so that only the JSON is broken."""
    whole = json.dumps(faulted.true_answer().body).encode()
    return web.Response(body=whole[: len(whole) // 2], content_type="application/json", charset="utf-8")


async def inner_error(faulted: FaultedRequest) -> web.Response:
    """Answer 200 with nothing but an error in the body."""
    return http_response(Answer(HTTPStatus.OK, _INNER_ERRORS[faulted.fault.body_shape]))


async def reset(faulted: FaultedRequest) -> web.Response:
    """Close the connection without an answer."""
    transport = faulted.request.transport
    if transport is not None:
        transport.abort()
    return web.Response()  # aiohttp needs a response to write, although the connection is closed


def _reset(faulted: FaultedRequest) -> int:
    """Return the end of the fault by X's own clock, in whole Unix seconds."""
    return math.ceil(faulted.time.x_time(faulted.fault.until))


def _retry_after(faulted: FaultedRequest) -> dict[str, str]:
    wait = faulted.fault.retry_after
    return {} if wait is None else {"Retry-After": str(math.ceil(faulted.time.real_seconds(wait)))}


def _typed(faulted: FaultedRequest, answer: Answer) -> Answer:
    if faulted.fault.typed:
        return answer
    return Answer(answer.status, {name: part for name, part in answer.body.items() if name != "type"})
