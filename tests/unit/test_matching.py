from __future__ import annotations

from dataclasses import replace

from notifier.core.model.ids import SpaceId, WatchId
from notifier.core.model.observation import Call, Observation, Question, Snapshot
from notifier.core.model.space import Space
from notifier.core.model.watch import OnFirstSight, Watch, WatchKind, WatchRole
from notifier.core.spaces.matching import (
    People,
    baseline_event,
    is_silent,
    people_of,
    unattributed,
    wants_baseline,
)

SPACE = Space(id=SpaceId("A"), state="live", creator_id="1", host_ids=("1", "2"))
WATCH = Watch(id=WatchId("wch_1"), kind=WatchKind.CREATOR, target="1", subject="1", created_at=0.0)
OTHER = replace(WATCH, id=WatchId("wch_2"), target="2", subject="2")
ANNOUNCING = replace(WATCH, on_first_sight=OnFirstSight.ANNOUNCE)


def test_a_space_matches_the_watch_of_its_creator() -> None:
    for people in (people_of(Snapshot(SPACE), None), people_of(None, SPACE)):
        assert people.creators == {"1"}
        assert people.are_followed_by(WATCH)
        assert not people.are_followed_by(OTHER)


def test_hosts_are_matched_if_x_does_not_name_the_creator() -> None:
    assert people_of(Snapshot(replace(SPACE, creator_id=None)), None).creators == {"1", "2"}
    assert people_of(Snapshot(replace(SPACE, creator_id=None)), SPACE).creators == {"1"}
    assert people_of(None, None) == People(frozenset(), frozenset())


def test_a_host_watch_matches_spaces_of_other_creators() -> None:
    people = people_of(Snapshot(SPACE), None)
    host = replace(OTHER, roles=(WatchRole.HOST,))
    assert people.are_followed_by(host)
    assert people.are_followed_by(replace(OTHER, roles=(WatchRole.CREATOR, WatchRole.HOST)))
    assert people_of(Snapshot(replace(SPACE, host_ids=None)), SPACE).are_followed_by(host), "hosts are kept"
    assert not people_of(Snapshot(replace(SPACE, host_ids=("1",))), None).are_followed_by(host)
    assert not people_of(Snapshot(replace(SPACE, creator_id="9", host_ids=())), None).are_followed_by(host)


def test_a_space_without_a_requested_creator_or_host_matches_no_watch() -> None:
    question = Question(Call.CREATORS, ("1", "2"))
    for fields, is_open in (
        ({"creator_id": "1"}, False),
        ({"creator_id": None, "host_ids": ("2", "9")}, False),
        ({"creator_id": None, "host_ids": ("9",)}, True),
        ({"creator_id": None, "host_ids": None}, True),
    ):
        snapshot = Snapshot(replace(SPACE, **fields))
        answer = Observation(question, 0.0, 1.0, {SPACE.id: snapshot})
        assert (unattributed(answer) == [SPACE.id]) is is_open


def test_a_watch_has_one_baseline() -> None:
    assert wants_baseline(WATCH)
    assert not wants_baseline(replace(WATCH, baselined=True))
    assert not wants_baseline(ANNOUNCING)


def test_a_space_is_silent_only_while_every_watch_is_new() -> None:
    assert is_silent([WATCH, WATCH])
    assert not is_silent([WATCH, ANNOUNCING])
    assert not is_silent([WATCH, replace(WATCH, baselined=True)])


def test_the_id_of_a_baseline_depends_only_on_its_watch() -> None:
    one = baseline_event(WATCH, [SPACE], now=1.0)
    two = baseline_event(WATCH, [], now=2.0)
    assert one.id == two.id != baseline_event(replace(WATCH, id=WatchId("wch_2")), [], now=1.0).id
    assert [space["id"] for space in one.data["details"]["spaces"]] == ["A"]
    assert one.routing.watch_ids == ("wch_1",)
