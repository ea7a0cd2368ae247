from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from notifier.core.model.ids import WatchId
from notifier.core.model.observation import Call
from notifier.core.model.watch import (
    MAX_ENCODED_QUERY_BYTES,
    MAX_QUERY,
    MAX_REQUEST_LINE_BYTES,
    Watch,
    WatchKind,
    WatchStatus,
    check_target,
)
from notifier.errors import InvalidInputError
from notifier.source.client import ASKED, OPTIONAL, PATHS

WATCH = Watch(
    id=WatchId("wch_0000000000000001"),
    kind=WatchKind.CREATOR,
    target="2244994945",
    subject="2244994945",
    created_at=0.0,
)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (WatchKind.CREATOR, "1"),
        (WatchKind.CREATOR, "9" * 19),
        (WatchKind.SPACE, "1zqKVXPQhvZJB"),
        (WatchKind.SPACE, "a"),
        (WatchKind.SEARCH, "x"),
        (WatchKind.SEARCH, "two words"),
        (WatchKind.SEARCH, "x" * MAX_QUERY),
        (WatchKind.SEARCH, '"' * MAX_QUERY),
        (WatchKind.SEARCH, "\u00e9" * 1166),
        (WatchKind.SEARCH, "\U0001f3d9" * 583),
    ],
)
def test_a_target_is_its_own_subject(kind: WatchKind, target: str) -> None:
    assert check_target(kind, target) == target


@pytest.mark.parametrize("name", ["@a", "@TwitterDev", "@_1234567890abcd"])
def test_a_name_has_no_subject_until_it_is_resolved(name: str) -> None:
    assert check_target(WatchKind.CREATOR, name) is None


@pytest.mark.parametrize(
    ("kind", "target", "advice"),
    [
        *(
            (WatchKind.CREATOR, target, "user id")
            for target in ("", "@", "Twitter", "9" * 20, "-1", "1 ", " 1", "+1", "1_0", "1.0", "1e3")
        ),
        *(
            (WatchKind.CREATOR, target, "user id")
            for target in ("@a-b", "@" + "a" * 16, "@a\n", "\u0661", "@\u00e9")
        ),
        *((WatchKind.CREATOR, target, "the first of them no 0") for target in ("02244994945", "0", "00")),
        *((WatchKind.CREATOR, target, "user id") for target in ("\uff12\uff12", "@\uff21", "@ a", "@@a")),
        *((WatchKind.SPACE, target, "Space id") for target in ("https://x.com/i/spaces/1abc", "\uff11abc")),
        *((WatchKind.SPACE, target, "Space id") for target in ("", "a" * 14, "a-b", "a/b", "a\n", "\u00e9")),
        *(
            (WatchKind.SEARCH, target, "white space")
            for target in ("crypto ", " crypto", "crypto\n", "\u00a0a")
        ),
        *((WatchKind.SEARCH, target, "query") for target in ("", " ", "\t\n", "x" * (MAX_QUERY + 1))),
    ],
)
def test_an_invalid_target_is_refused_with_advice(kind: WatchKind, target: str, advice: str) -> None:
    with pytest.raises(InvalidInputError, match=advice) as refusal:
        check_target(kind, target)
    assert [error.loc for error in refusal.value.errors] == [("body", "target")]


@pytest.mark.parametrize(
    "target", ["\u00e9" * 1167, "\U0001f3d9" * 584, "\U0001f3d9" * MAX_QUERY, "\ud800" * MAX_QUERY]
)
def test_a_query_with_too_long_a_url_is_refused_with_the_limit(target: str) -> None:
    with pytest.raises(InvalidInputError, match=f"at most {MAX_ENCODED_QUERY_BYTES} bytes percent-encoded"):
        check_target(WatchKind.SEARCH, target)


def test_the_longest_query_leaves_room_for_all_other_parameters() -> None:
    rest = {name: ",".join(ASKED[name]) for name in OPTIONAL[Call.SEARCH]}
    path, parameter = PATHS[Call.SEARCH]
    line = f"GET {path}?{parameter}={'x' * MAX_ENCODED_QUERY_BYTES}&{urlencode(rest)} HTTP/1.1\r\n"
    assert len(line) <= MAX_REQUEST_LINE_BYTES


@pytest.mark.parametrize(
    ("status", "paused", "is_polling"),
    [
        (WatchStatus.ACTIVE, False, True),
        (WatchStatus.ACTIVE, True, False),
        (WatchStatus.RESOLVING, False, False),
        (WatchStatus.FAILED, False, True),  # once a day
        (WatchStatus.FAILED, True, False),
    ],
)
def test_x_is_asked_for_a_watch_whose_subject_is_known(
    status: WatchStatus, paused: bool, is_polling: bool
) -> None:
    subject = None if status is WatchStatus.RESOLVING else WATCH.subject
    assert replace(WATCH, status=status, paused=paused, subject=subject).is_polling is is_polling


def test_names_are_case_insensitive_and_space_ids_are_not() -> None:
    named = replace(WATCH, target="@TwitterDev", subject=None)
    assert named.identity == replace(named, target="@twitterdev").identity
    spaces = [replace(WATCH, target=target, subject=target) for target in ("1zqK", "1ZQK")]
    assert spaces[0].identity != spaces[1].identity


def test_a_resolved_name_is_the_same_as_its_user_id() -> None:
    assert replace(WATCH, target="@TwitterDev").identity == WATCH.identity
