"""What each kind of fault does to an answer: one table, kind to handler."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aiohttp import web

from notifier.simulator.limits import RateState
from notifier.simulator.problems import credits_depleted, old_rate_limit, plain_problem, usage_capped
from notifier.simulator.scenario import FaultKind, RateLimitShape
from notifier.simulator.timeline import scene_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from notifier.simulator.contracts import Contract
    from notifier.simulator.play import Play
    from notifier.simulator.problems import Answer
    from notifier.simulator.scenario import Fault, Scenario
    from notifier.simulator.timeline import Scene

    Handler = Callable[["Disturbance"], Awaitable[web.Response]]

_MONTHLY_CAP: Final = 40_000
_EDGE_PAGE: Final = (
    "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n"
    "<body><h1>502 Bad Gateway</h1><p>The server is over capacity.</p></body></html>\n"
)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault that strikes one request.

    Attributes:
        limit: How many requests a window grants.
        number: How many requests of this call there were, this one included.
        answer: Gives what is said of a scene, be it today's or another.
    """

    fault: Fault
    scenario: Scenario
    contract: Contract
    play: Play
    offset: float
    limit: int
    number: int
    request: web.Request
    answer: Callable[[Scene], Answer]

    def answer_of(self, seconds_ago: float) -> Answer:
        """What would have been said without the fault, ``seconds_ago`` seconds of the play earlier."""
        return self.answer(scene_at(self.scenario, self.offset - seconds_ago))


def http_response(answer: Answer, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer on the wire; what has the type of a problem is a problem document."""
    content_type = "application/problem+json" if "type" in answer.body else "application/json"
    text = json.dumps(answer.body, ensure_ascii=False)
    return web.Response(
        status=answer.status, text=text, content_type=content_type, charset="utf-8", headers=headers
    )


async def _unavailable(_struck: Disturbance) -> web.Response:
    return http_response(plain_problem(HTTPStatus.SERVICE_UNAVAILABLE))


async def _rate_limited(struck: Disturbance) -> web.Response:
    reset = math.ceil(struck.play.real_time(struck.fault.until))
    window = RateState(limit=struck.limit, remaining=0, reset=reset)
    is_old = struck.fault.shape is RateLimitShape.LEGACY
    answer = old_rate_limit() if is_old else plain_problem(HTTPStatus.TOO_MANY_REQUESTS)
    return http_response(answer, window.headers)


async def _unauthorized(_struck: Disturbance) -> web.Response:
    return http_response(plain_problem(HTTPStatus.UNAUTHORIZED))


async def _credits_depleted(struck: Disturbance) -> web.Response:
    return http_response(credits_depleted(struck.contract))


async def _usage_capped(struck: Disturbance) -> web.Response:
    reset = math.ceil(struck.play.real_time(struck.fault.until))
    window = RateState(limit=_MONTHLY_CAP, remaining=_MONTHLY_CAP - 1, reset=reset)
    return http_response(usage_capped(struck.contract), window.headers)


async def _html(_struck: Disturbance) -> web.Response:
    return web.Response(status=HTTPStatus.BAD_GATEWAY, text=_EDGE_PAGE, content_type="text/html")


async def _truncated(struck: Disturbance) -> web.Response:
    """Half of the body, with a length that says it is whole: only the JSON gives it away."""
    whole = json.dumps(struck.answer_of(seconds_ago=0).body).encode()
    return web.Response(body=whole[: len(whole) // 2], content_type="application/json", charset="utf-8")


async def _slow(struck: Disturbance) -> web.Response:
    """What was true when the question came, told late."""
    response = http_response(struck.answer_of(seconds_ago=0))
    await asyncio.sleep(struck.play.real_seconds(struck.fault.delay))
    return response


async def _reset(struck: Disturbance) -> web.Response:
    transport = struck.request.transport
    if transport is not None:
        transport.abort()
    return web.Response()  # aiohttp wants an answer to write; nobody is there to read it


async def _stale(struck: Disturbance) -> web.Response:
    """An answer from a replica that lags; between such requests, others may reach one that does not."""
    lags = struck.number % struck.fault.every == 0
    return http_response(struck.answer_of(seconds_ago=struck.fault.lag if lags else 0))


async def _vanish_all(struck: Disturbance) -> web.Response:
    scene = scene_at(struck.scenario, struck.offset)
    return http_response(struck.answer(replace(scene, spaces={})))


FAULTS: Final[Mapping[FaultKind, Handler]] = MappingProxyType(
    {
        FaultKind.UNAVAILABLE: _unavailable,
        FaultKind.RATE_LIMITED: _rate_limited,
        FaultKind.UNAUTHORIZED: _unauthorized,
        FaultKind.CREDITS_DEPLETED: _credits_depleted,
        FaultKind.USAGE_CAPPED: _usage_capped,
        FaultKind.HTML: _html,
        FaultKind.TRUNCATED: _truncated,
        FaultKind.SLOW: _slow,
        FaultKind.RESET: _reset,
        FaultKind.STALE: _stale,
        FaultKind.VANISH_ALL: _vanish_all,
    }
)
