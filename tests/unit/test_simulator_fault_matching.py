"""Which requests a fault affects: by call, turn, token, subject and refused value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from multidict import MultiDict

from notifier.simulator.asked import Asked, Call, Parameter, read_asked
from notifier.simulator.fault import Fault, FaultKind, Shape


def fault(kind: str = "unavailable", **options: Any) -> Fault:
    return Fault.model_validate({"at": "0s", "for": "10s", "kind": kind, **options})


def asked(call: Call = Call.LOOKUP, path_id: str = "", number: int = 1, **query: str) -> Asked:
    parameters = MultiDict({name.replace("_fields", ".fields"): value for name, value in query.items()})
    return read_asked(parameters, call=call, number=number, path_id=path_id, token="token")


def test_a_fault_without_subjects_affects_every_request_of_its_calls() -> None:
    assert fault().affects(asked(ids="a"))
    assert not fault(calls=["search", "users"]).affects(asked(ids="a"))


@pytest.mark.parametrize(
    ("request_of", "subject", "affects"),
    [
        ({"call": Call.LOOKUP, "ids": "a,b,c"}, "b", True),
        ({"call": Call.LOOKUP, "ids": "a,B,c"}, "b", False),
        ({"call": Call.LOOKUP, "ids": "ab,c"}, "b", False),
        ({"call": Call.LOOKUP, "path_id": "b"}, "b", True),
        ({"call": Call.CREATORS, "user_ids": "10,11"}, "11", True),
        ({"call": Call.CREATORS, "user_ids": "10,11"}, "1", False),
        ({"call": Call.USERS, "usernames": "Ada,bob"}, "aDA", True),
        ({"call": Call.SEARCH, "query": "Rust, and more"}, "rust", True),
        ({"call": Call.SEARCH, "query": "Rust, and more"}, "rust, and", True),
        ({"call": Call.SEARCH, "query": "go"}, "rust", False),
        ({"call": Call.LOOKUP, "ids": "a", "expansions": "host_ids"}, "host_ids", False),
    ],
)
def test_a_fault_with_subjects_affects_requests_about_one_of_them(
    request_of: Mapping[str, Any], subject: str, affects: bool
) -> None:
    assert fault(subjects=["nobody", subject]).affects(asked(**request_of)) is affects


@pytest.mark.parametrize("kind", ["vanish", "inaccessible", "left_out", "twins"])
def test_subjects_of_answer_faults_select_no_requests(kind: str) -> None:
    assert fault(kind, subjects=["a"]).affects(asked(Call.CREATORS, user_ids="1"))


def test_only_every_third_request_is_affected() -> None:
    third = fault(every="3")
    assert [number for number in range(1, 10) if third.affects(asked(ids="a", number=number))] == [3, 6, 9]


def test_a_fault_with_tokens_affects_only_them() -> None:
    assert fault(tokens=["old", "token"]).affects(asked(ids="a"))
    assert not fault(tokens=["old"]).affects(asked(ids="a"))


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"parameter": "space.fields", "values": ["title", "lang"]}, ("title",)),
        ({"parameter": "space.fields", "values": ["lang"]}, ()),
        ({"parameter": "space.fields"}, ("state", "title")),
        ({"parameter": "expansions", "values": ["host_ids"]}, ("host_ids",)),
        ({"parameter": "ids", "values": ["b"]}, ("b",)),
        ({"parameter": "ids"}, ("a", "b")),
        ({"parameter": "query"}, ()),
    ],
)
def test_a_refusal_affects_requests_with_refused_values(
    options: Mapping[str, Any], refused: tuple[str, ...]
) -> None:
    request = asked(ids="a,b", space_fields="state,title", expansions="host_ids")
    refusal = fault("refused", **options)
    assert refusal.refused_of(request) == refused
    assert refusal.affects(request) is bool(refused)


def test_a_query_is_refused_as_it_was_sent() -> None:
    request = asked(Call.SEARCH, query="Rust, and more")
    assert fault("refused", parameter="query", values=["rust"]).refused_of(request) == ("Rust, and more",)


def test_repeated_and_empty_parameters_are_read_as_by_x() -> None:
    query = MultiDict([("ids", "a,b"), ("ids", "c"), ("expansions", ""), ("mood", "good")])
    request = read_asked(query, call=Call.LOOKUP, number=1)
    assert request.parameters == {Parameter.IDS: ("a", "b", "c")}


def test_a_fault_has_the_default_shape_and_status_of_its_kind() -> None:
    assert fault("inner_error").body_shape is Shape.CODE
    assert fault("inner_error", shape="top").body_shape is Shape.TOP
    assert fault("html").http_status == 502
    assert fault("html", status="403").http_status == 403
    assert fault("html").kind is FaultKind.HTML
