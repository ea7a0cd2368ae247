"""X's rate buckets: whether a request may go now, and what each answer says about them.

X grants a number of requests in a window that begins with its first one, and says in the headers of each
answer what is left. Whether two calls share a bucket or have one each is not documented, and recordings show
both; so it is inferred from the figures, and revised when they disagree.

Nothing here raises, and a bucket without a record lets requests through: the first answer will describe it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from notifier.core.model.observation import Call
from notifier.core.model.poll import Urgency

WINDOW_SECONDS: Final = 900.0
"""The length of X's rate windows."""

DAY_SECONDS: Final = 86_400.0
"""The length of X's daily windows, for an app and for a user."""

RESERVED_SHARE: Final = 0.1
"""The share of every window that is reserved for others who use the same credentials."""

MIN_SECONDS_APART: Final[Mapping[Call, float]] = {Call.CREATORS: 1.0}
"""``by/creator_ids`` accepts one request a second."""

LEAD: Final[Mapping[Urgency, float]] = {Urgency.URGENT: 0.5, Urgency.PATIENT: 0.1}
"""The share of the limit that may be used at the very beginning of a window. From there the allowance rises
linearly, so that too high a demand is slowed down and never finds an empty window."""

PATIENT_SHARE: Final = 0.1
"""The share of the allowance that each call's patient requests get, however much is urgent."""

RESET_SLACK_SECONDS: Final = 1.0
"""Resets no further apart than this are the same: X states them in whole seconds."""

CLOCK_SLACK_SECONDS: Final = 30.0
"""A window that ends sooner than this by our clock may already have ended at X, and disproves nothing."""

TOLERANCE: Final = 3
"""By how many requests two counts may differ and still agree: answers overtake each other."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One of X's buckets, and the calls that use it.

    Attributes:
        calls: The calls; more than one if X was seen to count them together.
        limit: Requests in a window; 0 while no answer has described the bucket.
        remaining: What is left: the lowest that X reported, less what was taken since.
        reset: The epoch second at which the window ends; 0 if it is not known.
        unanswered: Requests in flight, which X may or may not have counted yet.
        reported: The lowest number that the answers to each call reported in this window.
    """

    calls: frozenset[Call]
    limit: int = 0
    remaining: int = 0
    reset: float = 0.0
    unanswered: int = 0
    reported: Mapping[Call, int] = field(default_factory=dict)

    def at(self, now: float) -> Bucket:
        """Return the bucket at a given time: when a window is over, nothing is known about the next."""
        return Bucket(self.calls) if 0 < self.reset <= now else self


@dataclass(frozen=True, slots=True)
class Buckets:
    """What is known about all buckets; a call that no bucket names has its own, still unknown.

    Attributes:
        buckets: No call is in two of them.
        next_at: When a call with a minimum interval may be made again, in epoch seconds.
        patient_at: When the last patient request of a call was sent, in epoch seconds.
        closed_until: Until when a call is refused because a window of 24 hours is used up, in epoch seconds.
        origin: A fingerprint of X's URL and the token that they belong to.
    """

    buckets: tuple[Bucket, ...] = ()
    next_at: Mapping[Call, float] = field(default_factory=dict)
    patient_at: Mapping[Call, float] = field(default_factory=dict)
    closed_until: Mapping[Call, float] = field(default_factory=dict)
    origin: str = ""

    def of(self, call: Call) -> Bucket:
        """Return the bucket that a call uses."""
        own = Bucket(frozenset({call}))
        return next((bucket for bucket in self.buckets if call in bucket.calls), own)

    def at(self, now: float) -> Buckets:
        """Return the record at a given time."""
        closed = {call: until for call, until in self.closed_until.items() if until > now}
        return replace(self, buckets=tuple(bucket.at(now) for bucket in self.buckets), closed_until=closed)

    @property
    def by_call(self) -> dict[Call, Bucket]:
        """The bucket of each call whose window an answer has described."""
        return {call: bucket for call in Call if (bucket := self.of(call)).reset}

    @property
    def shared(self) -> tuple[frozenset[Call], ...]:
        """The groups of calls that share a bucket."""
        return tuple(bucket.calls for bucket in self.buckets if len(bucket.calls) > 1)


def wait(buckets: Buckets, call: Call, urgency: Urgency, *, now: float) -> float:
    """Return 0 if a request may go now, else the seconds after which to try again.

    That is at most one window, or the rest of a window of 24 hours that is used up.

    Usage is compared with an allowance that rises over the window from :data:`LEAD`, so an urgent request may
    go earlier than a patient one. A patient request is also allowed if the last one of its call was long
    enough ago. Neither uses the reserved share.
    """
    spaced = buckets.next_at.get(call, now) - now
    closed = buckets.closed_until.get(call, now) - now
    return max(spaced, closed, _until_granted(buckets, call, urgency, now=now), 0.0)


def _until_granted(buckets: Buckets, call: Call, urgency: Urgency, *, now: float) -> float:
    bucket = buckets.of(call).at(now)
    if not bucket.reset:
        return 0.0
    until_reset = min(bucket.reset - now, WINDOW_SECONDS)
    granted = bucket.limit * (1 - RESERVED_SHARE)
    used = bucket.limit - bucket.remaining + 1
    if used > granted:
        return until_reset
    lead = bucket.limit * LEAD[urgency]
    held = (used - lead) / (granted - lead) * WINDOW_SECONDS - (WINDOW_SECONDS - until_reset)
    if urgency is Urgency.PATIENT and held > 0:
        last_at = buckets.patient_at.get(call, -math.inf)
        held = min(held, last_at + WINDOW_SECONDS / (granted * PATIENT_SHARE) - now)
    return min(held, until_reset)


def take(buckets: Buckets, call: Call, urgency: Urgency, *, now: float) -> Buckets:
    """Return the record after a request was sent."""
    bucket = buckets.of(call).at(now)
    remaining = bucket.remaining - 1 if bucket.reset else 0
    taken = _put(buckets, replace(bucket, remaining=remaining, unanswered=bucket.unanswered + 1))
    if call in MIN_SECONDS_APART:
        taken = replace(taken, next_at={**taken.next_at, call: now + MIN_SECONDS_APART[call]})
    if urgency is Urgency.PATIENT:
        taken = replace(taken, patient_at={**taken.patient_at, call: now})
    return taken


def learn_nothing(buckets: Buckets, call: Call, *, now: float) -> Buckets:
    """Return the record after a request whose answer did not describe its bucket. X may have counted it."""
    bucket = buckets.of(call).at(now)
    return _put(buckets, replace(bucket, unanswered=max(bucket.unanswered - 1, 0)))


def learn(buckets: Buckets, call: Call, *, limit: int, remaining: int, reset: float, now: float) -> Buckets:
    """Return the record after an answer whose headers describe the bucket of its call.

    Of two counts in one window the lower one is the later, a later reset is a new window, and an earlier one
    comes from an answer that was overtaken. A reset in the past, or more than two windows away, is ignored.
    """
    buckets = learn_nothing(buckets, call, now=now)
    if limit <= 0 or not now < reset <= now + 2 * WINDOW_SECONDS:
        return buckets
    said = Bucket(frozenset({call}), limit, remaining, reset, reported={call: remaining})
    bucket = buckets.of(call)
    if len(bucket.calls) > 1 and _disproves(said, bucket, now=now):
        buckets = _separate(buckets, bucket, call)
        bucket = buckets.of(call)
    if reset < bucket.reset - RESET_SLACK_SECONDS:
        return buckets
    if reset > bucket.reset + RESET_SLACK_SECONDS:
        left = max(remaining - bucket.unanswered, 0)
        return _put(buckets, replace(said, calls=bucket.calls, remaining=left, unanswered=bucket.unanswered))
    lower = _lower(bucket, said)
    if remaining < bucket.remaining:
        # Another call has used this bucket: the one whose count agrees shares it.
        for other in buckets.buckets:
            if call not in other.calls and _agrees(said, other):
                lower = _join(lower, other, at_most=remaining)
    return _put(buckets, lower)


def close(buckets: Buckets, call: Call, *, until: float, now: float) -> Buckets:
    """Return the record after X has refused a call because a window of 24 hours is used up.

    Its end is an epoch second by our clock, and no reset closes a call for longer than such a window.
    """
    closed = {**buckets.at(now).closed_until, call: min(until, now + DAY_SECONDS)}
    return replace(buckets, closed_until=closed)


def _disproves(said: Bucket, bucket: Bucket, *, now: float) -> bool:
    """Return whether X's figures for one call contradict the bucket that it is thought to share."""
    if not bucket.reset:
        return False
    if abs(said.reset - bucket.reset) > RESET_SLACK_SECONDS:
        return min(said.reset, bucket.reset) > now + CLOCK_SLACK_SECONDS
    return said.limit != bucket.limit or said.remaining > bucket.remaining + bucket.unanswered + TOLERANCE


def _agrees(said: Bucket, other: Bucket) -> bool:
    """Return whether X's figures for one call match another's bucket, apart from requests in flight."""
    return (
        said.limit == other.limit
        and abs(said.reset - other.reset) <= RESET_SLACK_SECONDS
        and -TOLERANCE <= said.remaining - other.remaining <= other.unanswered
    )


def _lower(bucket: Bucket, said: Bucket) -> Bucket:
    """Return the bucket with a count of the same window if that is lower."""
    reported = {call: min(left, bucket.reported.get(call, left)) for call, left in said.reported.items()}
    left = min(bucket.remaining, said.remaining)
    return replace(bucket, limit=said.limit, remaining=left, reported={**bucket.reported, **reported})


def _join(bucket: Bucket, other: Bucket, *, at_most: int) -> Bucket:
    """Return two buckets that X counts together as one; requests in flight are not in X's count yet."""
    unanswered = bucket.unanswered + other.unanswered
    return replace(
        bucket,
        calls=bucket.calls | other.calls,
        remaining=max(min(bucket.remaining, other.remaining, at_most - unanswered), 0),
        unanswered=unanswered,
        reported={**bucket.reported, **other.reported},
    )


def _separate(buckets: Buckets, bucket: Bucket, call: Call) -> Buckets:
    """Return the record with a bucket of its own for a call; the others get back what it had taken."""
    reported = {each: left for each, left in bucket.reported.items() if each != call}
    rest = Bucket(bucket.calls - {call}, unanswered=bucket.unanswered)
    if reported:
        left = max(min(reported.values()) - bucket.unanswered, 0)
        rest = replace(rest, limit=bucket.limit, remaining=left, reset=bucket.reset, reported=reported)
    return _put(buckets, Bucket(frozenset({call}), unanswered=bucket.unanswered), rest)


def _put(buckets: Buckets, *changed: Bucket) -> Buckets:
    """Return the record with buckets in place of those that had their calls."""
    calls = frozenset[Call]().union(*(bucket.calls for bucket in changed))
    kept = tuple(bucket for bucket in buckets.buckets if bucket.calls.isdisjoint(calls))
    return replace(buckets, buckets=(*kept, *changed))
