from __future__ import annotations

import pytest

from notifier import __version__
from notifier.core.delivery.request import (
    RESERVED_HEADERS,
    DeliveryRequest,
    build_request,
    check_custom_headers,
)
from notifier.core.delivery.signing import parse_signing_key, verify
from notifier.errors import InvalidInputError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def request(extra_headers: dict[str, str] | None = None) -> DeliveryRequest:
    return build_request(
        url="https://example.com/hook",
        event_id="evt_1",
        body=b"{}",
        content_type="application/json",
        keys=[parse_signing_key(SECRET)],
        timestamp=1700000000,
        extra_headers=extra_headers,
    )


def test_a_request_is_signed_and_says_who_sends_it() -> None:
    built = request()
    assert (built.url, built.body) == ("https://example.com/hook", b"{}")
    assert built.headers.keys() == {
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
    assert built.headers["content-type"] == "application/json"
    assert built.headers["user-agent"] == f"space-notifier/{__version__}"
    assert built.headers["webhook-id"] == "evt_1"
    assert built.headers["webhook-timestamp"] == "1700000000"
    verify(SECRET, built.headers, built.body, now=1700000000)


def test_custom_headers_are_added_in_lower_case() -> None:
    assert request({"X-Team": "spaces"}).headers["x-team"] == "spaces"


@pytest.mark.parametrize(
    "name", sorted(RESERVED_HEADERS | {"webhook-id", "webhook-signature", "webhook-timestamp", "webhook-any"})
)
def test_custom_headers_never_override_the_reserved_ones(name: str) -> None:
    plain = request().headers
    assert request({name.title(): "mine", name: "mine", name.upper(): "mine"}).headers == plain


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer abc", "X-Team": "spaces"},
        {"x-empty": ""},
        {"x-one": "a"},
        {"x-spaced": "a b\tc"},
        {"x-token!#$%&'*+-.^_`|~09": "v"},
        {f"x-{n}": "v" for n in range(32)},
        {"x-long": "v" * 4096},
    ],
)
def test_valid_custom_headers_pass(headers: dict[str, str]) -> None:
    check_custom_headers(headers)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("", "v", "a name is"),
        ("x y", "v", "a name is"),
        ("x:y", "v", "a name is"),
        ("x\r\nInjected", "v", "a name is"),
        ("x-é", "v", "a name is"),
        ("x" * 129, "v", "a name is"),
        ("Host", "v", "reserved"),
        ("content-length", "1", "reserved"),
        ("Transfer-Encoding", "chunked", "reserved"),
        ("Connection", "close", "reserved"),
        ("Cookie", "a=b", "reserved"),
        ("Webhook-Signature", "v1,x", "reserved"),
        ("x-a", "secret\r\nInjected: 1", "printable ASCII"),
        ("x-a", "secret\n", "printable ASCII"),
        ("x-a", "secret\x00", "printable ASCII"),
        ("x-a", "secret\x7f", "printable ASCII"),
        ("x-a", "secreté", "printable ASCII"),
        ("x-a", " secret", "printable ASCII"),
        ("x-a", "secret ", "printable ASCII"),
        ("x-a", "secret" * 1000, "more than 4096"),
    ],
)
def test_a_bad_custom_header_is_named_and_its_value_is_not_shown(name: str, value: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as caught:
        check_custom_headers({"x-good": "v", name: value})
    assert [error.loc for error in caught.value.errors] == [("body", "headers", name)]
    assert repr(name) in caught.value.message
    assert "secret" not in caught.value.message


def test_every_bad_header_is_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_custom_headers({"Host": "a", "x-ok": "b", "x y": "c"})
    assert [error.loc[-1] for error in caught.value.errors] == ["Host", "x y"]


def test_the_same_name_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="twice"):
        check_custom_headers({"X-Team": "a", "x-team": "b"})


def test_too_many_headers_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at most 32"):
        check_custom_headers({f"x-{n}": "v" for n in range(33)})
