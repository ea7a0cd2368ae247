"""The state of an endpoint in its partition: the fields that ``lua/lib/state.lua`` reads and writes."""

from __future__ import annotations

from enum import StrEnum


class StateField(StrEnum):
    """A field of the record; times are epoch milliseconds, and a missing field counts as 0."""

    # Taken over from the endpoint's record
    CHANGE = "change"  # serial of the change that was taken over last
    PAUSED = "paused"  # 1: nothing goes out
    MAX_CONCURRENCY = "max_concurrency"
    INTERVAL_MS = "interval_ms"  # between two sends, by the owner's limit
    ORDERED = "ordered"  # 1: the events of one Space go out by sequence
    REMEMBERS = "remembers"  # 1: its kind has a memory of each Space

    # The queue
    LINES = "lines"  # how many lines it has
    RATE_AT = "rate_at"  # when the last send should have been, by the rate
    RESUME_AT = "resume_at"  # nothing goes out before

    # The breaker
    FAILURES = "failures"  # in a row
    FAILING_SINCE = "failing_since"
    OPEN_UNTIL = "open_until"
    PROBES = "probes"  # that have failed since it opened

    # The pace
    CONCURRENCY = "concurrency"  # that was learned
    PACE = "pace"  # the rest of it as JSON
    PASSED_SINCE = "passed_since"  # from when on deliveries that were taken are counted
    PASSED_FROM = "passed_from"  # how many had been taken then

    # Figures
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    DISCARDED = "discarded"
    FAILED = "failed"  # attempts
    REFUSED = "refused"  # attempts that were answered by a wish for a slower pace
    SUCCESS_AT = "success_at"
    FAILURE_AT = "failure_at"
    FAILURE_REASON = "failure_reason"
