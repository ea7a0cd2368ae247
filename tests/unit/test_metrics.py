from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from notifier.core.events.event import EventType
from notifier.core.model.observation import Call
from notifier.metrics import (
    ATTEMPT_SECONDS,
    EVENTS,
    METRICS,
    OBSERVATIONS,
    UNKNOWN_STATES,
    Counter,
    Tally,
    render,
)


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_counters_carry_their_labels() -> None:
    tally = Tally()
    tally.count(EVENTS, EventType.STARTED)
    tally.count(EVENTS, EventType.STARTED)
    tally.count(OBSERVATIONS, Call.LOOKUP, "ok")
    shown = samples(render(tally.take(), {}))
    assert shown["notifier_events_total", (("type", "space.started"),)] == 2
    assert shown["notifier_observations_total", (("result", "ok"), ("source", "lookup"))] == 1


def test_histogram_buckets_are_cumulative() -> None:
    tally = Tally()
    for seconds in (0.001, 0.01, 0.02, 99.0):
        tally.observe(ATTEMPT_SECONDS, seconds)
    shown = samples(render(tally.take(), {}))
    assert shown["notifier_attempt_seconds_bucket", (("le", "0.005"),)] == 1
    assert shown["notifier_attempt_seconds_bucket", (("le", "0.01"),)] == 2
    assert shown["notifier_attempt_seconds_bucket", (("le", "30.0"),)] == 3
    assert shown["notifier_attempt_seconds_bucket", (("le", "+Inf"),)] == 4
    assert shown["notifier_attempt_seconds_count", ()] == 4
    assert round(shown["notifier_attempt_seconds_sum", ()], 3) == 99.031


def test_every_metric_is_shown_from_the_start() -> None:
    text = render({}, {}).decode()
    assert all(f"# TYPE {name.removesuffix('_total')}" in text for name in METRICS)


def test_drained_counts_are_not_counted_again_unless_returned() -> None:
    tally = Tally()
    tally.count(EVENTS, EventType.ENDED)
    counts = tally.take()
    assert tally.take() == {}
    tally.give_back(counts)
    assert tally.take() == counts


def test_a_label_may_contain_the_separator() -> None:
    tally = Tally()
    tally.count(UNKNOWN_STATES, "on|off")
    counts = tally.take()
    assert UNKNOWN_STATES.read(counts) == {("on|off",): 1}
    assert samples(render(counts, {}))["notifier_unknown_states_total", (("state", "on|off"),)] == 1


def test_a_histogram_has_the_count_and_the_sum() -> None:
    tally = Tally()
    for seconds in (0.5, 1.5, 100.0):
        tally.observe(ATTEMPT_SECONDS, seconds)
    assert ATTEMPT_SECONDS.total(tally.take()) == (3, 102.0)


def test_a_metric_name_is_unique() -> None:
    with pytest.raises(ValueError, match="already"):
        Counter[str](EVENTS.name, "Again.", "type")
    assert METRICS[EVENTS.name] is EVENTS


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="labels"):
        Tally().count(OBSERVATIONS, Call.LOOKUP)  # type: ignore[misc]
