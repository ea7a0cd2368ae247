"""What each kind of fault does to an answer: one table, kind to handler."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aiohttp import web

from notifier.simulator.limits import RateState
from notifier.simulator.problems import credits_depleted, plain_problem, usage_capped
from notifier.simulator.scenario import FaultKind
from notifier.simulator.timeline import spaces_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from notifier.simulator.contracts import Contract
    from notifier.simulator.play import Play
    from notifier.simulator.problems import Answer
    from notifier.simulator.scenario import Fault, Scenario
    from notifier.simulator.timeline import PlayedSpace

    Handler = Callable[["Disturbance"], Awaitable[web.Response]]

STALE_SECONDS: Final = 30.0
_MONTHLY_CAP: Final = 40_000
_EDGE_PAGE: Final = (
    "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n"
    "<body><h1>502 Bad Gateway</h1><p>The server is over capacity.</p></body></html>\n"
)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault that strikes one request; ``answer`` gives what would be said of other Spaces than today's."""

    fault: Fault
    scenario: Scenario
    contract: Contract
    play: Play
    offset: float
    limit: int
    request: web.Request
    answer: Callable[[Mapping[str, PlayedSpace]], Answer]

    def undisturbed(self) -> web.Response:
        """The answer as it would be without the fault."""
        return http_response(self.answer(spaces_at(self.scenario, self.offset)))


def http_response(answer: Answer, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer on the wire: JSON if it went well, a problem document otherwise."""
    content_type = "application/json" if answer.status == HTTPStatus.OK else "application/problem+json"
    text = json.dumps(answer.body, ensure_ascii=False)
    return web.Response(
        status=answer.status, text=text, content_type=content_type, charset="utf-8", headers=headers
    )


async def _unavailable(_struck: Disturbance) -> web.Response:
    return http_response(plain_problem(HTTPStatus.SERVICE_UNAVAILABLE))


async def _rate_limited(struck: Disturbance) -> web.Response:
    reset = math.ceil(struck.play.real_time(struck.fault.until))
    window = RateState(limit=struck.limit, remaining=0, reset=reset)
    return http_response(plain_problem(HTTPStatus.TOO_MANY_REQUESTS), window.headers)


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
    whole = json.dumps(struck.answer(spaces_at(struck.scenario, struck.offset)).body).encode()
    return web.Response(body=whole[: len(whole) // 2], content_type="application/json", charset="utf-8")


async def _slow(struck: Disturbance) -> web.Response:
    """What was true when the question came, told late."""
    response = struck.undisturbed()
    await asyncio.sleep(struck.play.real_seconds(struck.fault.delay))
    return response


async def _reset(struck: Disturbance) -> web.Response:
    transport = struck.request.transport
    if transport is not None:
        transport.abort()
    return web.Response()  # aiohttp wants an answer to write; nobody is there to read it


async def _stale(struck: Disturbance) -> web.Response:
    return http_response(struck.answer(spaces_at(struck.scenario, struck.offset - STALE_SECONDS)))


async def _vanish_all(struck: Disturbance) -> web.Response:
    return http_response(struck.answer({}))


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
