"""The stand-in as an aiohttp application: five calls of X, and a page that shows what was asked."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from notifier.errors import ConfigError
from notifier.simulator import answers
from notifier.simulator.answers import AnswerContext
from notifier.simulator.asked import Call, read_asked
from notifier.simulator.behaviour import Behaviour, Buckets
from notifier.simulator.faulted_request import FaultedRequest, http_response
from notifier.simulator.faults import FAULTS
from notifier.simulator.limits import Limits, Pace, RateBuckets
from notifier.simulator.meter import CostMeter
from notifier.simulator.parameters import ParameterReader
from notifier.simulator.problems import plain_problem
from notifier.simulator.scenario_time import ScenarioTime
from notifier.simulator.timeline import active_fault, scene_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifier.simulator.answers import Responder
    from notifier.simulator.contracts import Contract
    from notifier.simulator.problems import Answer
    from notifier.simulator.scenario import Scenario
    from notifier.simulator.timeline import Scene

STATUS_PATH: Final = "/_simulator/status"


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One path of X's API; the path is also the name of its rate bucket."""

    path: str
    call: Call
    respond: Responder


_ENDPOINTS: Final = (
    _Endpoint("/2/spaces", Call.LOOKUP, answers.lookup),
    _Endpoint("/2/spaces/search", Call.SEARCH, answers.search),
    _Endpoint("/2/spaces/by/creator_ids", Call.CREATORS, answers.by_creators),
    _Endpoint("/2/spaces/{id}", Call.LOOKUP, answers.lookup_one),
    _Endpoint("/2/users/by", Call.USERS, answers.users_by_name),
)


@dataclass(frozen=True, slots=True)
class Simulator:
    """The running stand-in: the scenario, its time, the rate limits, and what was asked and answered so far.

    Attributes:
        pace: How many requests by creator are answered in a second.
        requests: How often each call was made, with any result.
        meter: What the answers would cost at X.
    """

    scenario: Scenario
    contract: Contract
    time: ScenarioTime
    limits: Limits
    buckets: RateBuckets
    pace: Pace
    meter: CostMeter = field(default_factory=CostMeter)
    requests: Counter[Call] = field(default_factory=Counter)

    async def serve(self, endpoint: _Endpoint, request: web.Request) -> web.Response:
        """Answer one call: check credentials, rate limits and faults, then the question."""
        self.requests[endpoint.call] += 1
        now = self.time.x_now
        if not _bearer_token(request):
            response = http_response(plain_problem(HTTPStatus.UNAUTHORIZED))
        elif not self._take(endpoint, now):
            response = http_response(plain_problem(HTTPStatus.TOO_MANY_REQUESTS))
        else:
            response = await self._answer(endpoint, request)
        for name, value in self.buckets.state(endpoint.path, now).headers.items():
            response.headers.setdefault(name, value)
        return response

    async def date(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Set X's own time on an answer, which aiohttp would date by the machine's clock."""
        response.headers["Date"] = formatdate(self.time.x_now, usegmt=True)

    async def status(self, _request: web.Request) -> web.Response:
        """``GET /_simulator/status``: the position in the scenario and the requests so far."""
        offset = self.time.offset
        duration = self.scenario.duration_seconds
        return web.json_response(
            {
                "offset_seconds": offset,
                "duration_seconds": duration,
                "ended": offset >= duration,
                "contract": self.contract,
                "requests": {call: self.requests[call] for call in Call},
                "cost": self.meter.as_json(),
            }
        )

    def _take(self, endpoint: _Endpoint, now: float) -> bool:
        """Use one request of the endpoint's limits; one that comes too soon uses none."""
        if endpoint.call is Call.CREATORS and not self.pace.take(now):
            return False
        return self.buckets.take(endpoint.path, now)

    async def _answer(self, endpoint: _Endpoint, request: web.Request) -> web.Response:
        offset, path_id = self.time.offset, request.match_info.get("id", "")

        def answer(scene: Scene) -> Answer:
            context = AnswerContext(self.scenario, scene, self.contract, self.time)
            result = endpoint.respond(context, ParameterReader(request.query), path_id)
            self.meter.note(endpoint.call, result.body, self.time.clock())
            return result

        asked = read_asked(
            request.query,
            call=endpoint.call,
            number=self.requests[endpoint.call],
            path_id=path_id,
            token=_bearer_token(request),
        )
        fault = active_fault(self.scenario, offset, asked)
        if fault is None:
            return http_response(answer(scene_at(self.scenario, offset)))
        faulted = FaultedRequest(
            fault=fault,
            scenario=self.scenario,
            contract=self.contract,
            time=self.time,
            offset=offset,
            limit=self.limits.requests,
            asked=asked,
            request=request,
            answer=answer,
        )
        return await FAULTS[fault.kind](faulted)


SIMULATOR: Final = web.AppKey("simulator", Simulator)


def create_simulator(
    scenario: Scenario,
    *,
    contract: Contract,
    speed: float = 1.0,
    clock: Callable[[], float] = time.time,
    limits: Limits = Limits(),  # noqa: B008 - frozen, so one instance for all callers is safe
    started_at: float | None = None,
    behaviour: Behaviour | None = None,
) -> web.Application:
    """Return the stand-in for X as an application; it starts now, or at ``started_at``.

    Args:
        scenario: What happens at X.
        contract: The version of X's API to speak.
        speed: How many scenario seconds pass in one real second. Answers use the real clock: at speed 10,
            ``+20s`` of the scenario becomes start + 2 s.
        clock: Returns the real time in Unix seconds; tests control time with it.
        limits: The request windows, in real seconds.
        started_at: The start of the scenario in Unix seconds; the clock's present value if not given.
        behaviour: Replaces the ``x`` block of the scenario.

    Raises:
        ConfigError: ``speed`` is not above 0.
    """
    if not speed > 0:
        raise ConfigError(f"speed: must be above 0, not {speed}")
    x = behaviour or scenario.x
    begins_at = clock() if started_at is None else started_at
    scenario_time = ScenarioTime(started_at=begins_at, speed=speed, clock=clock, ahead=x.clock)
    simulator = Simulator(
        scenario.model_copy(update={"x": x}),
        contract,
        scenario_time,
        limits,
        RateBuckets(limits, shared=x.buckets is Buckets.SHARED),
        Pace(x.creators_per_second),
    )
    app = web.Application()
    app[SIMULATOR] = simulator
    app.on_response_prepare.append(simulator.date)
    for endpoint in _ENDPOINTS:
        app.router.add_get(endpoint.path, partial(simulator.serve, endpoint), allow_head=False)
    app.router.add_get(STATUS_PATH, simulator.status)
    return app


def _bearer_token(request: web.Request) -> str:
    """Return the token of a request; empty if it has none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""
