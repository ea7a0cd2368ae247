"""The demo's check of received events: missing, unexpected and out of order."""

from __future__ import annotations

import random
from typing import Any

from notifier.cli.demo_record import EXPECTED, EXPECTED_COUNT, DemoRecord
from notifier.cli.listener import Received
from notifier.simulator import load_scenario

RENAMED = "1OdJrXWaPVPGX"
CANCELED = "1zqKVXPQhvZJB"


def received(space_id: str, sequence: int, event_type: str, refusal: str | None = None) -> Received:
    body: dict[str, Any] = {
        "type": event_type,
        "data": {"sequence": sequence, "space": {"id": space_id}, "observed_at": "2023-11-14T22:13:20.000Z"},
    }
    return Received(f"evt_{space_id}_{sequence}", body, refusal, 1_700_000_000.25)


def everything() -> list[Received]:
    return [
        received(space_id, sequence, event_type)
        for space_id, types in EXPECTED.items()
        for sequence, event_type in enumerate(types, start=1)
    ]


def record_of(*requests: Received) -> DemoRecord:
    record = DemoRecord()
    for request in requests:
        record.add(request)
    return record


def test_the_expected_spaces_are_those_of_the_scenario() -> None:
    assert {space.id for space in load_scenario("demo").spaces} == set(EXPECTED)


def test_all_events_are_accepted_in_any_order_of_arrival() -> None:
    requests = everything()
    random.Random(7).shuffle(requests)  # noqa: S311  a test's order
    record = record_of(*requests)
    assert record.settled
    assert record.count == EXPECTED_COUNT
    assert record.faults({}) == []
    assert record.delays == [0.25] * EXPECTED_COUNT


def test_a_repeated_event_counts_once() -> None:
    record = record_of(*everything())
    assert not record.add(everything()[0])
    assert record.repeats == 1
    assert record.faults({}) == []


def test_the_record_is_not_settled_before_the_last_event() -> None:
    for left_out in range(EXPECTED_COUNT):
        requests = everything()
        request = requests.pop(left_out)
        record = record_of(*requests)
        assert not record.settled
        assert request.body is not None
        assert record.faults({}) == [
            f"missing {request.body['type']} of {request.body['data']['space']['id']}"
        ]


def test_an_unexpected_event_is_a_failure() -> None:
    record = record_of(*everything(), received(CANCELED, 3, "space.updated"))
    assert record.faults({}) == [f"unexpected space.updated of {CANCELED}"]


def test_an_event_of_another_space_is_a_failure() -> None:
    record = record_of(*everything(), received("1zzzzzzzzzzzz", 1, "space.started"))
    assert record.faults({}) == ["unexpected space.started of 1zzzzzzzzzzzz"]


def test_an_event_that_is_only_in_the_log_is_a_failure() -> None:
    record = record_of(*everything())
    assert record.faults({"evt_x": "space.updated"}) == [
        "unexpected space.updated (evt_x), in the log but not received"
    ]


def test_sequences_must_follow_the_order_of_the_scenario() -> None:
    swapped = [received(CANCELED, 1, "space.canceled"), received(CANCELED, 2, "space.scheduled")]
    others = [each for each in everything() if CANCELED not in each.event_id]
    assert record_of(*others, *swapped).faults({}) == [
        f"wrong order for {CANCELED}: space.canceled, space.scheduled"
    ]


def test_sequences_must_have_no_gap() -> None:
    last = len(EXPECTED[RENAMED])
    others = [each for each in everything() if each.event_id != f"evt_{RENAMED}_{last}"]
    record = record_of(*others, received(RENAMED, last + 1, "space.ended"))
    assert [fault.split(":")[0] for fault in record.faults({})] == [f"wrong order for {RENAMED}"]


def test_a_signature_that_fails_settles_it_as_failed() -> None:
    record = record_of(received(CANCELED, 1, "space.scheduled", "no v1 entry matches"))
    assert record.settled
    assert f"refused evt_{CANCELED}_1: no v1 entry matches" in record.faults({})
