"""X's rate buckets: whether a request may go now, and what each answer teaches.

X grants so many requests in a window that begins with its first one, and tells in the headers of each answer
what is left of it. Whether two calls draw on one bucket or on one each is not written down anywhere, and the
recordings show both; so it is learned from the figures, and unlearned when they say otherwise.

Nothing here raises, and a record that says nothing of a bucket lets requests through: the first answer will
describe it.
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
"""The length of those that X has besides, for an app and for a user."""

KEPT_BACK: Final = 0.1
"""The share of every window that is left for others who use the same credentials."""

LEAST_SECONDS_APART: Final[Mapping[Call, float]] = {Call.CREATORS: 1.0}
"""``by/creator_ids`` takes one request a second."""

LEAD: Final[Mapping[Urgency, float]] = {Urgency.URGENT: 0.5, Urgency.PATIENT: 0.1}
"""The share of the limit that may be used at a window's very beginning. From there the line rises to what is
granted in all at its end, so that a wish that is too large is slowed and never meets an empty window."""

PATIENT_SHARE: Final = 0.1
"""The share of what is granted that each call's patient requests get, however much is urgent."""

RESET_SLACK_SECONDS: Final = 1.0
"""Resets no farther apart than this are one: they are told in whole seconds."""

CLOCK_SLACK_SECONDS: Final = 30.0
"""A window that ends sooner than this by our clock may have ended at X, and disproves nothing."""

TOLERANCE: Final = 3
"""By how many requests two counts may differ and still agree: answers overtake each other."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One of X's buckets, and the calls that draw on it.

    Attributes:
        calls: The calls; more than one where X was seen to count them together.
        limit: Requests in a window; 0 while no answer has described the bucket.
        remaining: What is left: the lowest that X told, less what was taken since.
        reset: The epoch second at which the window ends; 0 while it is not known.
        unanswered: Requests in flight, which a count of X's may hold already or not.
        told: The lowest that the answers to each call told in this window.
    """

    calls: frozenset[Call]
    limit: int = 0
    remaining: int = 0
    reset: float = 0.0
    unanswered: int = 0
    told: Mapping[Call, int] = field(default_factory=dict)

    def at(self, now: float) -> Bucket:
        """Return the bucket as it stands at a moment: when a window is over, nothing is known of the next."""
        return Bucket(self.calls) if 0 < self.reset <= now else self


@dataclass(frozen=True, slots=True)
class Buckets:
    """What is known of all buckets; a call that no bucket names has one of its own, as yet unknown.

    Attributes:
        buckets: No call is in two of them.
        next_at: When a call that X spaces out may be made again, in epoch seconds.
        patient_at: When the last patient request of a call went, in epoch seconds.
        closed_until: Until when a call is refused because a window of 24 hours is used up, in epoch seconds.
        origin: Whose they are: a fingerprint of X's URL and the token.
    """

    buckets: tuple[Bucket, ...] = ()
    next_at: Mapping[Call, float] = field(default_factory=dict)
    patient_at: Mapping[Call, float] = field(default_factory=dict)
    closed_until: Mapping[Call, float] = field(default_factory=dict)
    origin: str = ""

    def of(self, call: Call) -> Bucket:
        """Return the bucket that a call draws on."""
        own = Bucket(frozenset({call}))
        return next((bucket for bucket in self.buckets if call in bucket.calls), own)

    def at(self, now: float) -> Buckets:
        """Return the record as it stands at a moment."""
        closed = {call: until for call, until in self.closed_until.items() if until > now}
        return replace(self, buckets=tuple(bucket.at(now) for bucket in self.buckets), closed_until=closed)

    @property
    def by_call(self) -> dict[Call, Bucket]:
        """The bucket of each call whose window an answer has described."""
        return {call: bucket for call in Call if (bucket := self.of(call)).reset}

    @property
    def shared(self) -> tuple[frozenset[Call], ...]:
        """The groups of calls that draw on one bucket."""
        return tuple(bucket.calls for bucket in self.buckets if len(bucket.calls) > 1)


def wait(buckets: Buckets, call: Call, urgency: Urgency, *, now: float) -> float:
    """Return 0 where a request may go now, else the seconds after which to try again.

    That is a window at most, or what is left of a window of 24 hours that is used up.

    What is used is held against a line that rises over the window from :data:`LEAD`; an urgent request may
    thus go ahead of its time by more than a patient one. A patient one goes all the same when the last of its
    call is long enough ago. Neither touches what is kept back.
    """
    spaced = buckets.next_at.get(call, now) - now
    closed = buckets.closed_until.get(call, now) - now
    return max(spaced, closed, _until_granted(buckets, call, urgency, now=now), 0.0)


def _until_granted(buckets: Buckets, call: Call, urgency: Urgency, *, now: float) -> float:
    bucket = buckets.of(call).at(now)
    if not bucket.reset:
        return 0.0
    until_reset = min(bucket.reset - now, WINDOW_SECONDS)
    granted = bucket.limit * (1 - KEPT_BACK)
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
    """Return the record after a request has gone."""
    bucket = buckets.of(call).at(now)
    remaining = bucket.remaining - 1 if bucket.reset else 0
    taken = _put(buckets, replace(bucket, remaining=remaining, unanswered=bucket.unanswered + 1))
    if call in LEAST_SECONDS_APART:
        taken = replace(taken, next_at={**taken.next_at, call: now + LEAST_SECONDS_APART[call]})
    if urgency is Urgency.PATIENT:
        taken = replace(taken, patient_at={**taken.patient_at, call: now})
    return taken


def learn_nothing(buckets: Buckets, call: Call, *, now: float) -> Buckets:
    """Return the record after a request that ended without a word of its bucket. It may have been counted."""
    bucket = buckets.of(call).at(now)
    return _put(buckets, replace(bucket, unanswered=max(bucket.unanswered - 1, 0)))


def learn(buckets: Buckets, call: Call, *, limit: int, remaining: int, reset: float, now: float) -> Buckets:
    """Return the record after an answer whose headers describe the bucket of its call.

    Of two counts in one window the lower one is the later, a later reset is a new window, and an earlier one
    comes from an answer that was overtaken. A reset that is past, or farther away than any window ends even
    for a clock that is a whole window wrong, says nothing.
    """
    buckets = learn_nothing(buckets, call, now=now)
    if limit <= 0 or not now < reset <= now + 2 * WINDOW_SECONDS:
        return buckets
    said = Bucket(frozenset({call}), limit, remaining, reset, told={call: remaining})
    bucket = buckets.of(call)
    if len(bucket.calls) > 1 and _disproves(said, bucket, now=now):
        buckets = _part(buckets, bucket, call)
        bucket = buckets.of(call)
    if reset < bucket.reset - RESET_SLACK_SECONDS:
        return buckets
    if reset > bucket.reset + RESET_SLACK_SECONDS:
        left = max(remaining - bucket.unanswered, 0)
        return _put(buckets, replace(said, calls=bucket.calls, remaining=left, unanswered=bucket.unanswered))
    lower = _lower(bucket, said)
    if remaining < bucket.remaining:
        # Somebody else has taken from this bucket. Whose count it meets is asked for by the same window.
        for other in buckets.buckets:
            if call not in other.calls and _agrees(said, other):
                lower = _join(lower, other, at_most=remaining)
    return _put(buckets, lower)


def close(buckets: Buckets, call: Call, *, until: float, now: float) -> Buckets:
    """Return the record after X has refused a call because a window of 24 hours is used up.

    Its end is an epoch second by our clock. A reset that makes no sense closes nothing for longer than such
    a window lasts.
    """
    closed = {**buckets.at(now).closed_until, call: min(until, now + DAY_SECONDS)}
    return replace(buckets, closed_until=closed)


def _disproves(said: Bucket, bucket: Bucket, *, now: float) -> bool:
    """Return whether what X said of one call cannot be said of the bucket that it is thought to share."""
    if not bucket.reset:
        return False
    if abs(said.reset - bucket.reset) > RESET_SLACK_SECONDS:
        return min(said.reset, bucket.reset) > now + CLOCK_SLACK_SECONDS
    return said.limit != bucket.limit or said.remaining > bucket.remaining + bucket.unanswered + TOLERANCE


def _agrees(said: Bucket, other: Bucket) -> bool:
    """Return whether what X said of one call is what is left for another, requests in flight aside."""
    return (
        said.limit == other.limit
        and abs(said.reset - other.reset) <= RESET_SLACK_SECONDS
        and -TOLERANCE <= said.remaining - other.remaining <= other.unanswered
    )


def _lower(bucket: Bucket, said: Bucket) -> Bucket:
    """Take over a count of the same window where it is lower than ours."""
    told = {call: min(left, bucket.told.get(call, left)) for call, left in said.told.items()}
    left = min(bucket.remaining, said.remaining)
    return replace(bucket, limit=said.limit, remaining=left, told={**bucket.told, **told})


def _join(bucket: Bucket, other: Bucket, *, at_most: int) -> Bucket:
    """Make one bucket of two that X counts together; what is in flight is off what X says is left."""
    unanswered = bucket.unanswered + other.unanswered
    return replace(
        bucket,
        calls=bucket.calls | other.calls,
        remaining=max(min(bucket.remaining, other.remaining, at_most - unanswered), 0),
        unanswered=unanswered,
        told={**bucket.told, **other.told},
    )


def _part(buckets: Buckets, bucket: Bucket, call: Call) -> Buckets:
    """Give a call a bucket of its own; the others get back what was taken from theirs for it."""
    told = {each: left for each, left in bucket.told.items() if each != call}
    rest = Bucket(bucket.calls - {call}, unanswered=bucket.unanswered)
    if told:
        left = max(min(told.values()) - bucket.unanswered, 0)
        rest = replace(rest, limit=bucket.limit, remaining=left, reset=bucket.reset, told=told)
    return _put(buckets, Bucket(frozenset({call}), unanswered=bucket.unanswered), rest)


def _put(buckets: Buckets, *changed: Bucket) -> Buckets:
    """Put buckets in the place of those that have had their calls."""
    calls = frozenset[Call]().union(*(bucket.calls for bucket in changed))
    kept = tuple(bucket for bucket in buckets.buckets if bucket.calls.isdisjoint(calls))
    return replace(buckets, buckets=(*kept, *changed))
