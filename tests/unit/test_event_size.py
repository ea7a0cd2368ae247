"""Bodies stay under 20 kB, whatever X sends."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.core.events.event import (
    MAX_BODY_BYTES,
    EventType,
    Sighting,
    encode,
    plain_event,
    space_event,
)
from notifier.core.model.ids import WatchId
from notifier.core.model.space import Space
from tests.support.space_builders import (
    LIVE,
    SPACE_ID,
    START,
    History,
    body_of,
    change,
    seen,
    space,
    user,
    variant,
)

CROWD = tuple(str(10**18 + number) for number in range(5000))
EMOJI = "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 1200


class TestTheSize:
    def test_of_a_small_body_is_left_alone(self) -> None:
        body = body_of(change(LIVE, variant(LIVE, title="x" * 5000)))
        assert "truncated" not in body["data"]
        assert "counts" not in body["data"]

    def test_of_many_people_is_reduced_at_the_longest_lists_and_keeps_the_counts(self) -> None:
        crowded = variant(LIVE, speaker_ids=CROWD, title="x" * 5000)
        data = body_of(change(variant(LIVE, title="x" * 5000), crowded))["data"]
        assert data["truncated"] is True
        assert data["counts"] == {"host_ids": 2, "speaker_ids": 5000, "added": 5000}
        assert data["details"]["total"] == 5000
        assert data["space"]["host_ids"] == ["1", "2"]
        assert data["space"]["title"] == "x" * 5000
        kept = data["space"]["speaker_ids"]
        assert kept == list(CROWD[: len(kept)])
        assert len(kept) >= 100

    def test_is_used_well_when_many_hosts_leave(self) -> None:
        crowded = variant(LIVE, host_ids=CROWD)
        history = History(seen(700, crowded), seen(730, LIVE), seen(760, LIVE))
        data = body_of(history.events[-1])["data"]
        assert data["space"]["host_ids"] == ["1", "2"]
        assert data["counts"]["removed"] == 5000
        assert len(data["details"]["removed"]) >= 100
        assert len(data["previous"]["host_ids"]) >= 100

    def test_of_a_cut_body_has_the_id_of_the_whole_event(self) -> None:
        event = change(LIVE, variant(LIVE, speaker_ids=CROWD))
        assert body_of(event)["data"]["id"] == event.id

    @pytest.mark.parametrize("title", ["x" * 100_000, EMOJI, "\x00" * 5000, '"' * 30_000], ids=len)
    def test_of_a_title_is_reduced_only_when_no_list_is_left(self, title: str) -> None:
        data = body_of(change(LIVE, variant(LIVE, title=title)))["data"]
        assert data["truncated"] is True
        assert data["space"]["host_ids"] == []
        kept = data["space"]["title"]
        assert title.startswith(kept)
        assert len(json.dumps(kept, ensure_ascii=False).encode()) > MAX_BODY_BYTES / 5

    @pytest.mark.parametrize(
        "found",
        [
            variant(LIVE, lang="x" * 100_000),
            variant(LIVE, creator_id="9" * 100_000),
            variant(LIVE, host_ids=("9" * 100_000,)),
            variant(LIVE, topic_ids=CROWD),
            variant(LIVE, invited_user_ids=CROWD, speaker_ids=CROWD, host_ids=CROWD, title=EMOJI),
        ],
        ids=["lang", "creator", "one host", "topics", "everything"],
    )
    def test_stays_within_the_limit_whatever_is_long(self, found: Space) -> None:
        (event,) = History(seen(700, found)).events
        assert body_of(event)["data"]["truncated"] is True

    def test_stays_within_the_limit_with_long_names(self) -> None:
        people = [user(person, name="n" * 500) for person in CROWD[:100]]
        (event,) = History(seen(700, variant(LIVE, speaker_ids=CROWD[:100]), users=people)).events
        data = body_of(event)["data"]
        assert 10 <= len(data["users"]) < 100
        assert all(len(person["name"]) == 500 for person in data["users"])

    def test_stays_within_the_limit_with_many_watches(self) -> None:
        watches = tuple(WatchId(f"wch_{number:016}") for number in range(2000))
        event = space_event(
            EventType.STARTED,
            sequence=1,
            before=None,
            after=LIVE,
            changed=["state"],
            details={},
            users={},
            sighting=Sighting(START, (START, START), first_sighting=True, watch_ids=watches),
        )
        kept = body_of(event)["data"]["watch_ids"]
        assert kept == list(watches[: len(kept)])
        assert len(kept) >= 100
        assert event.routing.watch_ids == watches

    @pytest.mark.parametrize(
        "found", [variant(LIVE, title="x" * 300), variant(LIVE, speaker_ids=CROWD, title=EMOJI)]
    )
    def test_of_a_baseline_is_reduced_by_omitting_spaces(self, found: Space) -> None:
        event = plain_event(
            EventType.WATCH_BASELINE,
            content=["wch_1"],
            details={"spaces": [found.as_json()] * 200},
            observed_at=START,
        )
        data = body_of(event)["data"]
        assert data["truncated"] is True
        assert data["counts"] == {"spaces": 200}

    @given(
        st.builds(
            space,
            st.just("live"),
            title=st.text(max_size=50).map(lambda text: text * 200),
            lang=st.text(max_size=20).map(lambda text: text * 50),
            speaker_ids=st.integers(0, 3000).map(lambda number: CROWD[:number]),
            host_ids=st.integers(0, 3000).map(lambda number: CROWD[-number:]),
        )
    )
    def test_never_exceeds_the_limit(self, found: Space) -> None:
        (event,) = History(seen(700, found)).events
        body = encode(event)
        assert len(body) < MAX_BODY_BYTES
        assert json.loads(body)["data"]["space"]["id"] == SPACE_ID
