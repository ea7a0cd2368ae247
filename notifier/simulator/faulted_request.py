"""A request affected by a fault, with everything the fault needs to change the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from notifier.simulator.timeline import scene_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from notifier.simulator.asked import Asked
    from notifier.simulator.contracts import Contract
    from notifier.simulator.fault import Fault
    from notifier.simulator.problems import Answer
    from notifier.simulator.scenario import Scenario
    from notifier.simulator.scenario_time import ScenarioTime
    from notifier.simulator.timeline import Scene

    Handler = Callable[["FaultedRequest"], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class FaultedRequest:
    """One request and the fault that affects it.

    Attributes:
        limit: How many requests a window grants.
        request: The request on its connection.
        answer: Returns the answer for any scene.
    """

    fault: Fault
    scenario: Scenario
    contract: Contract
    time: ScenarioTime
    offset: float
    limit: int
    asked: Asked
    request: web.Request
    answer: Callable[[Scene], Answer]

    def scene(self, seconds_ago: float = 0.0) -> Scene:
        """Return the state at X, now or ``seconds_ago`` seconds of the scenario earlier."""
        return scene_at(self.scenario, self.offset - seconds_ago)

    def true_answer(self) -> Answer:
        """Return the answer without the fault."""
        return self.answer(self.scene())


def http_response(answer: Answer, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer as HTTP; one with a problem type is a problem document."""
    content_type = "application/problem+json" if "type" in answer.body else "application/json"
    text = json.dumps(answer.body, ensure_ascii=False)
    return web.Response(
        status=answer.status, text=text, content_type=content_type, charset="utf-8", headers=headers
    )
