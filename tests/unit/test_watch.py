from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.core.ids import WatchId
from notifier.core.watch import MAX_QUERY, Watch, WatchKind, WatchStatus, check_target
from notifier.errors import InvalidInputError

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
        (WatchKind.SEARCH, " two words "),
        (WatchKind.SEARCH, "\U0001f3d9" * MAX_QUERY),
    ],
)
def test_a_target_is_its_own_subject(kind: WatchKind, target: str) -> None:
    assert check_target(kind, target) == target


@pytest.mark.parametrize("name", ["@a", "@TwitterDev", "@_1234567890abcd"])
def test_a_name_has_no_subject_until_it_is_resolved(name: str) -> None:
    assert check_target(WatchKind.CREATOR, name) is None


@pytest.mark.parametrize(
    ("kind", "target", "mend"),
    [
        *((WatchKind.CREATOR, target, "user id") for target in ("", "@", "Twitter", "9" * 20, "-1", "1 ")),
        *(
            (WatchKind.CREATOR, target, "user id")
            for target in ("@a-b", "@" + "a" * 16, "@a\n", "\u0661", "@\u00e9")
        ),
        *((WatchKind.CREATOR, target, "user id") for target in ("\u0661", "@\u00e9")),
        *((WatchKind.SPACE, target, "Space id") for target in ("", "a" * 14, "a-b", "a/b", "a\n", "\u00e9")),
        *((WatchKind.SEARCH, target, "query") for target in ("", " ", "\t\n", "x" * (MAX_QUERY + 1))),
    ],
)
def test_a_target_of_another_form_is_refused_with_its_mend(kind: WatchKind, target: str, mend: str) -> None:
    with pytest.raises(InvalidInputError, match=mend) as refusal:
        check_target(kind, target)
    assert [error.loc for error in refusal.value.errors] == [("body", "target")]


@pytest.mark.parametrize(
    ("status", "paused", "is_looking"),
    [
        (WatchStatus.ACTIVE, False, True),
        (WatchStatus.ACTIVE, True, False),
        (WatchStatus.RESOLVING, False, False),
        (WatchStatus.FAILED, False, False),
    ],
)
def test_x_is_asked_only_for_an_active_watch(status: WatchStatus, paused: bool, is_looking: bool) -> None:
    assert replace(WATCH, status=status, paused=paused).is_looking is is_looking


def test_names_are_one_whatever_their_case_and_space_ids_are_not() -> None:
    named = replace(WATCH, target="@TwitterDev", subject=None)
    assert named.identity == replace(named, target="@twitterdev").identity
    spaces = [replace(WATCH, target=target, subject=target) for target in ("1zqK", "1ZQK")]
    assert spaces[0].identity != spaces[1].identity


def test_a_resolved_name_is_the_same_as_its_user_id() -> None:
    assert replace(WATCH, target="@TwitterDev").identity == WATCH.identity
