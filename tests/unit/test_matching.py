from __future__ import annotations

from dataclasses import replace

from notifier.core.ids import SpaceId, WatchId
from notifier.core.matching import baseline_event, creators_of, is_silent, wants_baseline
from notifier.core.observation import Snapshot
from notifier.core.space import Space
from notifier.core.watch import OnFirstSight, Watch, WatchKind

SPACE = Space(id=SpaceId("A"), state="live", creator_id="1", host_ids=("1", "2"))
WATCH = Watch(id=WatchId("wch_1"), kind=WatchKind.CREATOR, target="1", subject="1", created_at=0.0)
ANNOUNCING = replace(WATCH, on_first_sight=OnFirstSight.ANNOUNCE)


def test_the_creator_is_whose_watch_matches() -> None:
    assert creators_of(Snapshot(SPACE), None) == ("1",)
    assert creators_of(None, SPACE) == ("1",)


def test_the_hosts_stand_in_where_x_does_not_name_the_creator() -> None:
    assert creators_of(Snapshot(replace(SPACE, creator_id=None)), None) == ("1", "2")
    assert creators_of(Snapshot(replace(SPACE, creator_id=None)), SPACE) == ("1",)
    assert creators_of(None, None) == ()


def test_a_watch_wants_its_baseline_once() -> None:
    assert wants_baseline(WATCH)
    assert not wants_baseline(replace(WATCH, baselined=True))
    assert not wants_baseline(ANNOUNCING)


def test_a_space_is_silent_only_while_every_watch_is_on_its_first_look() -> None:
    assert is_silent([WATCH, WATCH])
    assert not is_silent([WATCH, ANNOUNCING])
    assert not is_silent([WATCH, replace(WATCH, baselined=True)])


def test_a_baseline_has_one_id_for_its_watch_whatever_it_found_and_when() -> None:
    one = baseline_event(WATCH, [SPACE], now=1.0)
    two = baseline_event(WATCH, [], now=2.0)
    assert one.id == two.id != baseline_event(replace(WATCH, id=WatchId("wch_2")), [], now=1.0).id
    assert [space["id"] for space in one.data["details"]["spaces"]] == ["A"]
    assert one.routing.watch_ids == ("wch_1",)
