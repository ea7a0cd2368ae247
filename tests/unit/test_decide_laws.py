"""The laws of docs/architecture.md over random histories of polls and timers."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from random import Random

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from notifier.core.events.event import EventType, encode, redact, thin
from notifier.core.model.ids import WatchId
from notifier.core.model.instants import instant, rfc3339
from notifier.core.model.observation import Evidence, Presence
from notifier.core.model.poll import Cadence
from notifier.core.model.space import Space
from notifier.core.spaces.decide import PollContext, decide
from notifier.core.spaces.known import KnownSpace
from notifier.core.spaces.merging import Patience
from notifier.core.spaces.milestones import crossed
from notifier.core.spaces.next_poll import next_poll
from notifier.core.spaces.timers import TimerKind, fire, timers_of
from tests.support.space_builders import (
    PATIENCE,
    SPACE_ID,
    START,
    WATCHED,
    History,
    TimerFiring,
    announced_fields,
    described_body_of,
    reminder,
    replay,
    seen,
)
from tests.support.space_histories import Step, patiences, spaces, steps

ANY_WILL_DO = settings(max_examples=20_000, database=None, deadline=None, phases=[Phase.generate])
TIMELESS = Patience(needed=2, apart=30.0, reminder=-1e9, overdue=1e9)
CONTENT = ("title", "lang", "is_ticketed", "host_ids", "speaker_ids", "invited_user_ids", "topic_ids")

polls = steps(with_timers=False)


@given(steps(min_size=1), patiences)
def test_law_1_the_same_observation_again_makes_no_event(history: list[Step], patience: Patience) -> None:
    announced = History(patience=patience, restart=True)
    for step in history:
        announced.take(step)
        assert announced.take(step) == ()


@given(steps(), patiences)
def test_law_1_a_repeated_poll_after_a_reminder_makes_no_event(
    history: list[Step], patience: Patience
) -> None:
    announced = History(patience=patience)
    for step in history:
        announced.take(step)
        for seconds in (600, 3000, 49_500):
            announced.take(reminder(seconds))
        assert not isinstance(step, Evidence) or announced.take(step) == ()


@given(steps(), patiences, st.booleans())
def test_law_2_replaying_the_changes_produces_the_known_state(
    history: list[Step], patience: Patience, silent: bool
) -> None:
    announced = History(*history, patience=patience, silent=silent, restart=True)
    if announced.known is not None:
        replayed = replay(announced.events, announced.first_state, erased_after=announced.erased_after)
        assert announced_fields(replayed) == announced_fields(announced.known.space)


@given(steps(), patiences)
def test_law_2_each_event_shows_its_resulting_state(history: list[Step], patience: Patience) -> None:
    announced = History(*history, patience=patience)
    for number, event in enumerate(announced.events, start=1):
        if event.type is EventType.REDACTED:
            assert event.data["space"] == {"id": SPACE_ID}
            continue
        before = {place for place in announced.erased_after if place < number}
        replayed = replay(announced.events[:number], announced.first_state, erased_after=before)
        shown = {
            name: value for name, value in event.data["space"].items() if name in announced_fields(replayed)
        }
        assert shown == {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in announced_fields(replayed).items()
        }


@given(steps(), patiences)
def test_law_3_sequences_start_at_1_and_are_gapless(history: list[Step], patience: Patience) -> None:
    announced = History(*history, patience=patience, restart=True)
    assert [event.sequence for event in announced.events] == list(range(1, len(announced.events) + 1))
    assert len({event.id for event in announced.events}) == len(announced.events)
    assert announced.known is None or announced.known.sequence == len(announced.events)


def moved_on(poll: Evidence, seconds: float) -> Evidence:
    """Return the same poll at a later time, with ``updated_at`` moved along."""
    snapshot = poll.snapshot
    if snapshot is not None:
        mark = instant(snapshot.space.updated_at)
        moved = snapshot.space.updated_at if mark is None else rfc3339(mark + seconds)
        snapshot = replace(snapshot, space=replace(snapshot.space, updated_at=moved))
    began_at, answered_at = poll.began_at + seconds, poll.answered_at + seconds
    return replace(poll, began_at=began_at, answered_at=answered_at, snapshot=snapshot)


@given(polls, st.integers(1, 10**6))
def test_law_3_ids_depend_neither_on_time_nor_on_watches(history: list[Evidence], later: int) -> None:
    announced = History(*history, patience=TIMELESS)
    known: KnownSpace | None = None
    ids = []
    for poll in history:
        moved = moved_on(poll, later)
        decision = decide(known, moved, patience=TIMELESS, context=PollContext((WatchId("wch_other"),)))
        known = decision.known
        ids += [event.id for event in decision.events]
    assert ids == [event.id for event in announced.events]


@given(steps(), spaces, st.integers(1, 25))
def test_law_3_a_transition_found_again_after_a_crash_has_the_same_id(
    history: list[Step], found: Space, later: int
) -> None:
    known = History(*history).known
    turned = {name: value[::-1] for name, value in found.known().items() if isinstance(value, tuple)}
    polls_it = (seen(10**6, found), seen(10**6 + later, found.with_values(turned), took=2))
    first, second = (
        decide(known, poll, patience=Patience(1, 0), context=WATCHED).events for poll in polls_it
    )
    assert [event.id for event in second] == [event.id for event in first]


@given(steps(), st.sampled_from(TimerKind), st.floats(1, 800))
def test_law_3_a_timer_that_fires_again_after_a_crash_makes_the_same_event(
    history: list[Step], kind: TimerKind, later: float
) -> None:
    known = History(*history).known
    moment = None if known is None else timers_of(known, patience=PATIENCE).get(kind)
    if known is not None and moment is not None:
        first, second = (
            fire(known, kind, now=now, patience=PATIENCE, watch_ids=watch_ids)
            for now, watch_ids in ((moment, WATCHED.watch_ids), (moment + later, (WatchId("wch_other"),)))
        )
        assert [event.id for event in first.events] == [event.id for event in second.events]
        assert first.known == second.known


@given(steps())
def test_law_4_nothing_is_inferred_from_silence(history: list[Step]) -> None:
    nothing = (Presence.FAILED, Presence.ABSENT)
    heard = [step for step in history if isinstance(step, TimerFiring) or step.presence not in nothing]
    with_silence, without = History(*history), History(*heard)
    assert with_silence.known == without.known
    assert with_silence.events == without.events


@given(steps(), patiences)
def test_a_restart_between_any_two_steps_changes_nothing(history: list[Step], patience: Patience) -> None:
    steady = History(*history, patience=patience)
    restarted = History(*history, patience=patience, restart=True)
    assert [encode(event) for event in restarted.events] == [encode(event) for event in steady.events]
    assert restarted.known == steady.known


@given(steps(), patiences)
def test_a_phase_moves_backward_only_by_a_correction(history: list[Step], patience: Patience) -> None:
    order = {"scheduled": 0, "live": 1, "ended": 2, "canceled": 2}
    reached = -1
    for event in History(*history, patience=patience).events:
        if event.type is not EventType.REDACTED:
            state = order[event.data["space"]["state"]]
            assert state >= reached or event.type is EventType.CORRECTED
            reached = state


@given(steps(silence=False, with_timers=False))
def test_a_speaker_once_seen_stays_a_speaker(history: list[Step]) -> None:
    announced = History()
    for step in history:
        before = set((announced.known and announced.known.space.speaker_ids) or ())
        announced.take(step)
        assert before <= set((announced.known and announced.known.space.speaker_ids) or ())


@given(steps(), patiences)
def test_what_is_announced_once_is_announced_once(history: list[Step], patience: Patience) -> None:
    events = History(*history, patience=patience).events
    reached = [
        event.data["details"]["threshold"] for event in events if event.type == "space.participants_milestone"
    ]
    assert reached == sorted(set(reached))
    assert set(reached) <= set(crossed(0, 1000))
    for what in (EventType.REMINDER, EventType.START_OVERDUE):
        starts = [instant(event.data["space"]["scheduled_start"]) for event in events if event.type is what]
        assert len(starts) == len(set(starts))


@given(steps(), patiences)
def test_a_reminder_comes_before_the_start_and_an_overdue_start_after_it(
    history: list[Step], patience: Patience
) -> None:
    for event in History(*history, patience=patience).events:
        start, now = (
            instant(event.data["space"].get("scheduled_start")),
            instant(event.data["observed_at"]),
        )
        assert now is not None
        if event.type is EventType.REMINDER:
            assert start is not None
            assert start - patience.reminder <= now < start
            assert 0 <= event.data["details"]["minutes_before"] <= patience.reminder / 60
        if event.type is EventType.START_OVERDUE:
            assert start is not None
            assert now >= start + patience.overdue
            assert event.data["details"]["overdue_seconds"] == now - start


@given(steps(), patiences)
def test_the_content_of_every_ended_space_is_erased_completely(
    history: list[Step], patience: Patience
) -> None:
    announced = History(patience=patience, restart=True)
    for step in history:
        announced.take(step)
        if announced.known is None:
            continue
        known = announced.known
        has_content = bool(known.users) or any(known.space.value(name) is not None for name in CONTENT)
        timers = timers_of(known, patience=patience)
        assert not (known.erased and has_content)
        assert not known.erased or not known.has_content
        assert (TimerKind.ERASURE in timers) is (known.phase.is_over and not known.erased)
        assert known.gone_since is None or known.phase.is_over


@given(steps(min_size=1), patiences)
def test_every_step_sets_the_next_poll(history: list[Step], patience: Patience) -> None:
    announced = History(patience=patience)
    for step in history:
        announced.take(step)
        now = step.answered_at if isinstance(step, Evidence) else START + step.seconds
        if announced.known is not None:
            poll = next_poll(announced.known, now=now, cadence=Cadence(), patience=patience)
            assert poll is None or now < poll.at <= now + 86_400
            assert poll is not None or announced.phase.is_over


@given(steps(), patiences)
def test_every_full_thin_and_redacted_body_matches_the_catalogue(
    history: list[Step], patience: Patience
) -> None:
    for event in History(*history, patience=patience).events:
        described_body_of(event)
        body = encode(event)
        assert redact(body, SPACE_ID) == thin(body)
        described_body_of(replace(event, data=json.loads(thin(body))["data"]))


def test_the_random_histories_contain_every_event_type() -> None:
    missing = {known for known in EventType if known.startswith("space.")}

    def completes(history: list[Step]) -> bool:
        missing.difference_update(History(*history).types)
        return not missing

    seed = Random(1)  # noqa: S311  not security-relevant
    with suppress(NoSuchExample):
        find(steps(), completes, random=seed, settings=ANY_WILL_DO)
    assert missing == set()


def test_the_random_histories_contain_content_that_returns() -> None:
    def comes_back(history: list[Step]) -> bool:
        announced = History(*history)
        erased = next(
            (n for n, event in enumerate(announced.events) if event.type is EventType.REDACTED), None
        )
        return erased is not None and any(
            "title" in event.data["space"] for event in announced.events[erased:]
        )

    seed = Random(1)  # noqa: S311  not security-relevant
    find(steps(), comes_back, random=seed, settings=ANY_WILL_DO)
