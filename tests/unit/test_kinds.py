"""Kinds of endpoints, their targets, and the webhook kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import Field, SecretStr, ValidationError

from notifier.core.delivery.challenge import challenge_body
from notifier.core.delivery.endpoint import WEBHOOK, Endpoint, PayloadFormat
from notifier.core.delivery.filters import check_event_types
from notifier.core.delivery.kinds.kind import MAX_MEMORY_BYTES, Hold, Reading, Sending, Skip, is_memorable
from notifier.core.delivery.kinds.table import KINDS
from notifier.core.delivery.kinds.target import Target, mask, masked, read_target, written
from notifier.core.delivery.outcome import Answer, OutcomeKind, classify
from notifier.core.delivery.request import DeliveryRequest
from notifier.core.delivery.signing import parse_signing_key, verify
from notifier.core.events.event import encode
from notifier.core.model.ids import EndpointId
from tests.support.echo import ECHO, EchoTarget
from tests.support.pipeline import SECRET, numbered_event

KEY = parse_signing_key(SECRET)
BODY = encode(numbered_event(1))


def sending(**changes: Any) -> Sending[None]:
    endpoint = Endpoint(
        id=EndpointId("ep_1"), url="https://example.com/", headers={"X-Team": "a"}, created_at=0, updated_at=0
    )
    plain: Sending[None] = Sending("evt_1", BODY, endpoint, [KEY], None, "https://n.example", 5.9)
    return plain._replace(**changes)


def test_a_webhook_posts_the_signed_event() -> None:
    request = KINDS[WEBHOOK].render(sending())
    assert isinstance(request, DeliveryRequest)
    assert (request.method, request.url, request.headers["x-team"]) == ("POST", "https://example.com/", "a")
    assert request.body == BODY
    assert request.headers["webhook-id"] == "evt_1"
    assert request.headers["webhook-timestamp"] == "5"
    verify(SECRET, request.headers, request.body, now=5.0)


def test_a_challenge_is_a_signed_post_in_the_format_of_the_endpoint() -> None:
    challenge = KINDS[WEBHOOK].challenge
    assert challenge is not None
    body = challenge_body(EndpointId("ep_1"), challenge_id="chl_1", token="t", now=0.0)
    cloudy = Endpoint(
        id=EndpointId("ep_1"), url="https://x/", format=PayloadFormat.CLOUDEVENTS, created_at=0, updated_at=0
    )
    request = challenge(sending(message_id="chl_1", body=body, endpoint=cloudy))
    assert request.headers["webhook-id"] == "chl_1"
    assert json.loads(request.body)["specversion"] == "1.0"


@pytest.mark.parametrize("status", [200, 410, 429, 500])
def test_a_webhooks_answer_is_classified_by_its_status(status: int) -> None:
    answer = Answer(status, None, "7", 1.0, body=b'{"ok": false}')
    assert KINDS[WEBHOOK].read(sending(), answer, 5.0) == Reading(classify(answer, now=5.0))


@pytest.mark.parametrize("kind", [*KINDS.values(), ECHO], ids=lambda kind: kind.name)
def test_the_defaults_of_a_kind_are_valid_choices(kind: object) -> None:
    assert isinstance(kind, type(ECHO))
    check_event_types(kind.defaults["event_types"])
    assert 1 <= kind.defaults["max_concurrency"] <= 256


class Deep(Target):
    token: SecretStr
    hooks: tuple[SecretStr, ...] = ()
    at: dict[str, SecretStr | int] = Field(default_factory=dict)


def test_nested_secrets_of_a_target_are_masked_when_shown_and_complete_when_sealed() -> None:
    document = {
        "token": "0123456789ab",
        "hooks": ["https://discord.example/api/webhooks/1/abcdefgh"],
        "at": {"password": "short", "port": 5},
    }
    target = read_target(Deep, json.dumps(document))
    assert masked(target) == {
        "token": "…89ab",
        "hooks": ["https://discord.example/…efgh"],
        "at": {"password": "…", "port": 5},
    }
    assert json.loads(written(target)) == document
    assert read_target(Deep, written(target)) == target
    assert "0123" not in repr(target) + str(target)


@pytest.mark.parametrize("secret", ["", "x", "elevenchars", "https://u:p@h.example/12345678"])
def test_a_mask_shows_four_characters_at_most(secret: str) -> None:
    assert mask(secret) in {"…", "https://h.example/…5678"}


def test_a_refused_target_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as refused:
        read_target(Deep, '{"token": 5, "secret": "hidden in plain sight"}')
    assert "plain sight" not in str(refused.value)


@pytest.mark.parametrize(
    ("memory", "is_kept"),
    [
        ("{}", True),
        ("", True),
        ("é" * (MAX_MEMORY_BYTES // 2), True),
        ("é" * (MAX_MEMORY_BYTES // 2) + "x", False),
        ("\ud800", False),
    ],
)
def test_a_memory_is_text_of_a_bounded_length(memory: str, is_kept: bool) -> None:
    assert is_memorable(memory) is is_kept


def test_a_kind_may_skip_or_hold_a_delivery_with_a_reason() -> None:
    target = EchoTarget(url="https://x/", token=SecretStr("t"), quiet_until=100.0)
    waiting = Sending("evt_1", BODY, sending().endpoint, [], target, "", 50.0)
    assert ECHO.render(waiting) == Hold(100.0, "quiet hours")
    assert ECHO.render(waiting._replace(newest="evt_2")) == Skip("superseded by evt_2")
    assert isinstance(ECHO.render(waiting._replace(now=100.0)), DeliveryRequest)


def test_a_kind_reads_codes_from_an_answer() -> None:
    target = EchoTarget(url="https://x/", token=SecretStr("t"))
    sent = Sending("evt_1", BODY, sending().endpoint, [], target, "", 50.0)
    gone = ECHO.read(sent, Answer(403, None, None, 1.0, body=b'{"code": "no_such_room"}'), 50.0)
    assert (gone.outcome.kind, gone.outcome.reason) == (OutcomeKind.GONE, "no_such_room")
