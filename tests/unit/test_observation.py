"""Reading X's answers, in either contract or malformed."""

from __future__ import annotations

from typing import Any, Final

import pytest

from notifier.core.model.answers import read_answer
from notifier.core.model.ids import SpaceId, UserId
from notifier.core.model.observation import Call, Failure, Observation, Presence, Question, failed
from notifier.core.model.problems import FailureKind, SubjectStatus, problem_type
from notifier.core.model.space import Space, User

ID, OTHER = SpaceId("1zqKVXPQhvZJB"), SpaceId("1DXxyRYNejbKM")
LOOKUP = Question(Call.LOOKUP, (ID, OTHER))
HOSTS = ["https://api.twitter.com", "https://api.x.com"]


def read(body: object, question: Question = LOOKUP) -> Observation:
    return read_answer(question, body, 100.0, 101.5)


def missing(space_id: str, host: str = HOSTS[1], **changes: Any) -> dict[str, Any]:
    """Return X's error for a Space that is not found."""
    return {
        "value": space_id,
        "detail": f"Could not find space with ids: [{space_id}].",
        "title": "Not Found Error",
        "resource_type": "space",
        "parameter": "ids",
        "resource_id": space_id,
        "type": f"{host}/2/problems/resource-not-found",
    } | changes


def test_data_is_a_list_or_for_a_single_lookup_an_object() -> None:
    raw = {"id": ID, "state": "live"}
    for body in ({"data": [raw]}, {"data": raw}):
        evidence = read(body).evidence(ID)
        assert evidence.presence is Presence.SEEN
        assert evidence.snapshot is not None
        assert evidence.snapshot.space == Space(id=ID, state="live")
        assert (evidence.began_at, evidence.answered_at) == (100.0, 101.5)


@pytest.mark.parametrize("host", HOSTS)
def test_not_found_is_a_healthy_answer_with_an_error_of_either_contract(host: str) -> None:
    answer = read({"data": [{"id": OTHER, "state": "live"}], "errors": [missing(ID, host)]})
    assert answer.failure is None
    assert answer.evidence(ID).presence is Presence.NOT_FOUND
    assert answer.evidence(OTHER).presence is Presence.SEEN


def test_not_found_may_name_the_space_by_its_value_alone() -> None:
    assert read({"errors": [missing(ID, resource_id=None)]}).evidence(ID).presence is Presence.NOT_FOUND


@pytest.mark.parametrize(
    "changes",
    [
        {"resource_type": "user"},
        {"resource_type": "topic"},
        {"resource_type": None},
        {"resource_id": "somebody", "value": "somebody"},
        {"resource_id": ID.swapcase(), "value": None},
        {"resource_id": [ID]},
        {"type": "https://api.x.com/2/problems/not-authorized-for-resource"},
        {"type": "about:blank"},
        {"type": None},
        {"type": ["resource-not-found"]},
    ],
)
def test_any_other_error_leaves_the_existence_of_the_space_open(changes: dict[str, Any]) -> None:
    answer = read({"errors": [missing(ID, **changes)]})
    assert answer.evidence(ID).presence is Presence.INACCESSIBLE
    assert answer.not_found == frozenset()


def test_data_takes_precedence_over_errors_about_the_same_space() -> None:
    answer = read({"data": [{"id": ID, "state": "live"}], "errors": [missing(ID)]})
    assert answer.evidence(ID).presence is Presence.SEEN


@pytest.mark.parametrize("call", [Call.CREATORS, Call.SEARCH])
@pytest.mark.parametrize("body", [{"meta": {"result_count": 0}}, {"data": []}, {"errors": [missing(ID)]}])
def test_a_missing_space_is_absent_in_creators_and_search(call: Call, body: dict[str, Any]) -> None:
    assert read(body, Question(call, (ID,))).evidence(ID).presence is Presence.ABSENT


def test_a_space_that_was_not_requested_is_seen_as_well() -> None:
    answer = read({"data": [{"id": ID, "state": "live"}]}, Question(Call.CREATORS, ("2244994945",)))
    assert set(answer.snapshots) == {ID}


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "",
        "<html>",
        7,
        True,
        {},
        {"title": "Service Unavailable", "status": 503},
        {"data": "x"},
        {"data": 7},
        {"data": None},
        {"data": [], "errors": {}},
        {"data": [], "errors": "x"},
    ],
)
def test_a_body_of_an_unknown_form_is_a_failed_call(body: object) -> None:
    answer = read(body)
    assert answer.failure is not None
    assert answer.failure.kind is FailureKind.UNAVAILABLE
    assert answer.failure.detail
    assert answer.evidence(ID).presence is Presence.FAILED


@pytest.mark.parametrize(
    "record",
    [
        *(None, 7, "x", [], {}),
        *(
            {"id": named}
            for named in (None, 7, "", "a b", "a/b", "a\n", "\u00e9", "\ud800", "a" * 65, {"a": 1})
        ),
    ],
)
def test_a_record_without_a_space_id_is_skipped(record: object) -> None:
    answer = read({"data": [record, {"id": ID, "state": "live"}]})
    assert set(answer.snapshots) == {ID}


def test_a_snapshot_contains_exactly_the_people_of_its_space() -> None:
    included = [{"id": str(number), "name": f"N{number}", "username": f"n{number}"} for number in range(6)]
    body = {
        "data": [
            {"id": ID, "creator_id": "0", "host_ids": ["1"], "speaker_ids": ["2", "7"]},
            {"id": OTHER, "host_ids": ["3"]},
        ],
        "includes": {"users": included, "topics": [{"id": "4"}]},
    }
    answer = read(body)
    assert set(answer.snapshots[ID].users) == {"0", "1", "2"}
    assert set(answer.snapshots[OTHER].users) == {"3"}
    assert set(answer.users) == {"0", "1", "2", "3", "4", "5"}


@pytest.mark.parametrize(
    "includes", [None, [], "x", {"users": None}, {"users": {"id": "1"}}, {"users": [None, 7]}]
)
def test_malformed_includes_contain_no_people(includes: object) -> None:
    assert read({"data": [{"id": ID, "host_ids": ["1"]}], "includes": includes}).users == {}


def test_names_are_resolved_to_users() -> None:
    question = Question(Call.USERS, ("TwitterDev", "nobody"))
    body = {
        "data": [{"id": "2244994945", "name": "Twitter Dev", "username": "TwitterDev"}],
        "errors": [missing("nobody", resource_type="user", parameter="usernames")],
    }
    answer = read(body, question)
    assert list(answer.users.values()) == [User(UserId("2244994945"), "Twitter Dev", "TwitterDev")]
    assert answer.not_found == {"nobody"}
    assert answer.snapshots == {}


def test_a_failed_call_says_nothing_about_any_subject() -> None:
    failure = Failure(FailureKind.RATE_LIMITED, "wait", retry_at=200.0)
    answer = failed(LOOKUP, failure, 100.0, 101.5)
    assert answer.failure is failure
    for space_id in (ID, OTHER):
        evidence = answer.evidence(space_id)
        assert (evidence.presence, evidence.snapshot) == (Presence.FAILED, None)


@pytest.mark.parametrize(
    ("named", "name"),
    [
        ("https://api.twitter.com/2/problems/resource-not-found", "resource-not-found"),
        ("https://api.x.com/2/problems/resource-not-found", "resource-not-found"),
        ("https://api.x.com/2/problems/usage-capped/", "usage-capped"),
        ("about:blank", "about:blank"),
        ("", ""),
        (None, ""),
        (7, ""),
        ({"a": 1}, ""),
    ],
)
def test_a_problem_is_identified_by_the_last_segment_of_its_type(named: object, name: str) -> None:
    assert problem_type({"type": named}) == name


def test_a_problem_without_a_type_has_none() -> None:
    assert problem_type({}) == ""


class TestAnswersOfNothingButAnError:
    """A 200 without data is not an empty list if it contains an error about the call."""

    BODIES: Final = {
        "a numbered error": ({"errors": [{"code": 130, "message": "Over capacity"}]}, "unavailable"),
        "a problem with a status": (
            {"errors": [{"title": "Service Unavailable", "status": 503, "type": "about:blank"}]},
            "unavailable",
        ),
        "an empty list beside it": (
            {"data": [], "errors": [{"code": 131, "message": "Oops"}]},
            "unavailable",
        ),
        "a count of results": ({"meta": {"result_count": 1}}, "unavailable"),
        "a count beside an empty list": ({"data": [], "meta": {"result_count": 3}}, "unavailable"),
        "the problem itself": (
            {"title": "Service Unavailable", "status": 503, "type": "about:blank"},
            "unavailable",
        ),
        "a spend cap": (
            {"errors": [{"title": "SpendCapReached", "type": "about:blank"}]},
            "credits_depleted",
        ),
        "a used-up window": ({"errors": [{"code": 88, "message": "Rate limit exceeded"}]}, "rate_limited"),
        "a count beside nothing but null": ({"data": [None], "meta": {"result_count": 1}}, "unavailable"),
        "an error beside an empty object": ({"data": {}, "errors": [{"code": 130}]}, "unavailable"),
        "an error beside a record without an id": (
            {"data": [{}], "errors": [{"status": 503}]},
            "unavailable",
        ),
        "a record without an id": ({"data": [{"state": "live"}]}, "unavailable"),
        "an error that is only a text": (
            {"errors": ["Over capacity"], "meta": {"result_count": 0}},
            "unavailable",
        ),
        "an error by itself": ({"error": "Over capacity", "meta": {"result_count": 0}}, "unavailable"),
        "a status beside an empty count": (
            {"title": "Service Unavailable", "status": 503, "meta": {"result_count": 0}},
            "unavailable",
        ),
        "a count that is a text": ({"meta": {"result_count": "1"}}, "unavailable"),
        "an error beside a not-found": (
            {"errors": [missing(ID), {"code": 130, "message": "Over capacity"}]},
            "unavailable",
        ),
    }

    @pytest.mark.parametrize("call", Call)
    @pytest.mark.parametrize(("body", "kind"), BODIES.values(), ids=BODIES)
    def test_is_a_failed_call(self, body: dict[str, Any], kind: str, call: Call) -> None:
        answer = read(body, Question(call, (ID,)))
        assert answer.failure is not None
        assert answer.failure.kind == kind
        assert answer.failure.detail

    def test_is_an_answer_if_there_is_data(self) -> None:
        body = {"data": [{"id": ID}], "errors": [{"code": 130, "message": "Over capacity"}]}
        answer = read(body)
        assert answer.failure is None
        assert answer.is_partial
        assert answer.evidence(ID).presence is Presence.SEEN
        assert answer.evidence(OTHER).presence is Presence.ABSENT, "what is left out of it says nothing"

    @pytest.mark.parametrize("body", [{"meta": {"result_count": 0}}, {"data": []}, {"meta": {}}])
    def test_is_an_empty_list_unless_an_error_says_otherwise(self, body: dict[str, Any]) -> None:
        assert read(body, Question(Call.CREATORS, ("1",))).failure is None


@pytest.mark.parametrize("name", ["errors", "includes", "meta"])
def test_null_is_ignored(name: str) -> None:
    answer = read({"data": [{"id": ID, "state": "live", "title": None}], name: None})
    assert answer.failure is None
    assert answer.evidence(ID).presence is Presence.SEEN


def test_null_inside_parts_is_ignored() -> None:
    body: dict[str, Any] = {"data": [None, {"id": ID}], "errors": [None], "includes": {"users": None}}
    assert set(read(body).snapshots) == {ID}
    assert read({"data": None, "errors": None, "meta": None}).failure is not None, "nothing is no answer"
    assert read({"data": None, "meta": {"result_count": None}}).failure is None


def test_malformed_errors_do_not_discard_data() -> None:
    answer = read({"data": [{"id": ID}], "errors": {"message": "odd"}})
    assert answer.failure is None
    assert set(answer.snapshots) == {ID}


def test_of_two_records_of_a_space_the_more_complete_one_counts() -> None:
    full = {"id": ID, "state": "live", "title": "Hello", "lang": "en"}
    for data in ([full, {"id": ID, "state": "live"}], [{"id": ID, "state": "live"}, full]):
        assert read({"data": data}).snapshots[ID].space.title == "Hello"


def test_the_only_requested_creator_is_that_of_all_listed_spaces() -> None:
    data = [{"id": ID, "state": "live"}, {"id": OTHER, "state": "live", "creator_id": "9"}]
    alone = read({"data": data}, Question(Call.CREATORS, ("1",)))
    assert [each.space.creator_id for each in alone.snapshots.values()] == ["1", "9"]
    together = read({"data": data}, Question(Call.CREATORS, ("1", "2")))
    assert [each.space.creator_id for each in together.snapshots.values()] == [None, "9"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"title": "Forbidden", "detail": "User has been suspended: [1]."}, SubjectStatus.SUSPENDED),
        ({"type": f"{HOSTS[1]}/2/problems/not-authorized-for-resource"}, SubjectStatus.PROTECTED),
        (
            {"title": "Authorization Error", "detail": "Sorry, you are not authorized"},
            SubjectStatus.PROTECTED,
        ),
        ({}, SubjectStatus.NOT_FOUND),
        ({"type": "about:blank", "title": "Oops", "detail": "no", "status": 503}, SubjectStatus.UNANSWERED),
    ],
)
def test_remarks_of_x_about_a_creator_are_kept(changes: dict[str, Any], status: SubjectStatus) -> None:
    error = missing("1", resource_type="user", **changes)
    answer = read({"errors": [error]}, Question(Call.CREATORS, ("1", "2")))
    assert {subject: remark.status for subject, remark in answer.remarks.items()} == {"1": status}
    assert answer.failure is None
