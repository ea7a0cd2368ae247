"""``echo``: a kind of endpoint for tests that shows each Space in one message and edits it in place.

It represents the chat services: it posts, patches and deletes, reads ids and codes from JSON, remembers its
message, states why it sends nothing, and waits. Only the table of kinds in a test knows about this module.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from pydantic import SecretStr, field_validator

from notifier.core.delivery.endpoint import KindName
from notifier.core.delivery.kinds.kind import FORGET, Hold, Kind, Reading, Rendered, Sending, Skip
from notifier.core.delivery.kinds.table import KINDS, Kinds, table_of
from notifier.core.delivery.kinds.target import Target
from notifier.core.delivery.outcome import Answer, Excerpt, Outcome, OutcomeKind, classify
from notifier.core.delivery.request import DeliveryRequest
from notifier.core.delivery.retry import RetrySchedule
from notifier.core.events.event import EventType

WANTED: Final = Excerpt(body_bytes=16_384, headers=("x-pause",))


class EchoTarget(Target):
    """``quiet_until`` is in epoch seconds."""

    url: str
    token: SecretStr
    room: str = "lobby"
    quiet_until: float | None = None

    @field_validator("room")
    @classmethod
    def _one_word(cls, room: str) -> str:
        if not room.isalnum():
            raise ValueError("a room is one word")
        return room

    def urls(self) -> dict[str, str]:
        return {"url": self.url}


def _render(sending: Sending[EchoTarget]) -> Rendered:
    payload = json.loads(sending.body)
    memory = _remembered(sending)
    quiet_until = sending.target.quiet_until
    if sending.newest:
        return Skip(f"superseded by {sending.newest}")
    if quiet_until is not None and sending.now < quiet_until:
        return Hold(quiet_until, "quiet hours")
    if payload["data"].get("sequence", 0) <= memory.get("shown", -1) and "old" not in memory:
        return Skip("superseded")
    return _request(sending, payload, memory)


def _request(sending: Sending[EchoTarget], payload: dict[str, Any], memory: dict[str, Any]) -> Rendered:
    title = payload["data"].get("space", {}).get("title", payload["type"])
    body = json.dumps({"room": sending.target.room, "text": title}).encode()
    if "old" in memory:
        return _at(sending, "DELETE", memory["old"])
    if payload["type"] == EventType.REDACTED:
        return _at(sending, "DELETE", memory["id"]) if "id" in memory else Skip("nothing to delete")
    if payload["type"] == EventType.STARTED or "id" not in memory:
        return _at(sending, "POST", "", body)
    return _at(sending, "PATCH", memory["id"], body)


def _at(sending: Sending[EchoTarget], method: str, message: str, body: bytes = b"") -> DeliveryRequest:
    url = f"{sending.target.url}/{message}".rstrip("/")
    headers = {"authorization": f"Bearer {sending.target.token.get_secret_value()}"}
    return DeliveryRequest(url, headers, body, method, WANTED)


def _read(sending: Sending[EchoTarget], answer: Answer, now: float) -> Reading:
    outcome = classify(answer, now=now)
    memory, payload, said = _remembered(sending), json.loads(sending.body), _json(answer.body)
    if "code" in said:
        return _by_code(sending, outcome, said)
    if answer.status == 404 and "id" in memory:
        again = replace(outcome, goes_on=True, reason="the message is gone")
        return Reading(again, FORGET)
    if outcome.kind is not OutcomeKind.DELIVERED:
        return Reading(outcome)
    if pause := answer.headers.get("x-pause"):
        outcome = replace(outcome, retry_after_seconds=float(pause))
    if payload["type"] == EventType.REDACTED:
        return Reading(outcome, FORGET)
    return _shown(outcome, memory, said, payload["data"].get("sequence", 0))


def _by_code(sending: Sending[EchoTarget], outcome: Outcome, said: dict[str, Any]) -> Reading:
    outcome = replace(outcome, reason=said["code"])
    if said["code"] == "no_such_room":
        return Reading(replace(outcome, kind=OutcomeKind.GONE))
    if said["code"] == "blocked":
        return Reading(replace(outcome, kind=OutcomeKind.REFUSED, ends=True))
    target = sending.target.model_copy(update={"room": said["moved_to"]})
    return Reading(replace(outcome, goes_on=True), target=target)


def _shown(outcome: Outcome, memory: dict[str, Any], said: dict[str, Any], sequence: int) -> Reading:
    if "old" in memory:
        is_behind = memory["shown"] < sequence
        left = {"id": memory["id"], "shown": memory["shown"]}
        return Reading(replace(outcome, goes_on=is_behind), json.dumps(left))
    shown = {"id": said.get("id", memory.get("id")), "shown": sequence}
    if "id" in memory and shown["id"] != memory["id"]:
        return Reading(replace(outcome, goes_on=True), json.dumps(shown | {"old": memory["id"]}))
    return Reading(outcome, json.dumps(shown))


def _remembered(sending: Sending[EchoTarget]) -> dict[str, Any]:
    memory: dict[str, Any] = json.loads(sending.memory or "{}")
    return memory


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


ECHO: Final[Kind[EchoTarget]] = Kind(
    name=KindName("echo"),
    target=EchoTarget,
    render=_render,
    read=_read,
    event_types=("space.started", "space.ended", "space.title_changed", "space.redacted"),
    max_concurrency=1,
    rate_limit_per_second=50.0,
    retry_schedule=RetrySchedule((0.05, 0.05)),
)

WITH_ECHO: Final[Kinds] = table_of(*KINDS.values(), ECHO)
