"""Isolating a subject that makes X fail, so that the others in its requests do not suffer.

X answers a request for up to a hundred subjects as a whole: one id that it cannot handle makes all of them
fail. Such a failure does not say whether the call is down or a subject is at fault, so this is found by
trial. A question that fails twice in a row is halved, and so is each part that fails again, until a single
subject is left. It is at fault if another question of its call was answered since it first failed; it is then
asked alone and less and less often. While nothing at all is answered, other questions serve as witnesses: the
call itself is down only when several that share no subject have failed in a row, or no other is left to ask.

Everything here is pure; :mod:`workers.failures` carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from notifier.core.model.observation import Failure
from notifier.core.model.poll import DuePoll
from notifier.core.model.problems import FailureKind
from notifier.core.polling.standing import NORMAL, Pace, Standing

HALVED_AFTER: Final = 2
"""How many times in a row a question must fail before it is halved; its parts need to fail only once."""

WITNESSES: Final = 4
"""How many questions without a common subject must fail in a row before the call counts as down."""

QUICK_HALVINGS: Final = 2
"""How often a question is halved at once while nothing is answered: into quarters. Those that X puts off are
halved on, more slowly."""

MAX_PARTS: Final = 32
"""The most parts that questions are split into while nothing is answered: each costs a request later."""

LONGEST_SECONDS: Final = 3600.0
"""The longest interval between two questions about a subject that makes X fail."""

MAX_DOUBLINGS: Final = 16

REFUSALS: Final = frozenset({FailureKind.REFUSED, FailureKind.UNAUTHORIZED})
"""Failures of a single subject that mean X refuses to answer, rather than that it cannot."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What else is known about the call. Times are epoch seconds.

    Attributes:
        standings: The standings of its subjects, those that have one.
        answered_at: When it was last answered while a subject had a standing; 0 if never.
        failed: The labels of the questions that have failed in a row since.
        is_down: Whether it already counts as down.
        has_others: Whether the schedule has an ungrouped subject that was not in this question.
    """

    standings: Mapping[str, Standing] = field(default_factory=dict)
    answered_at: float = 0.0
    failed: tuple[str, ...] = ()
    is_down: bool = False
    has_others: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a question that failed. Times are epoch seconds.

    Attributes:
        standings: The new standings of its subjects.
        ask_at: When to ask about each of them again; None leaves that to the response to the failure.
        label: The name of the question that failed.
        is_subjects: A subject is at fault, so the failure says nothing about the call.
        is_exhausted: No other question could show whether the call is down.
        wants_witness: A subject that was not in this question has to be asked about now.
    """

    standings: Mapping[str, Standing]
    ask_at: Mapping[str, float] | None
    label: str
    is_subjects: bool = False
    is_exhausted: bool = False
    wants_witness: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The polls that may share the next question; those in ``put_off`` are due but must wait until then."""

    urgent: list[DuePoll]
    patient: list[DuePoll]
    put_off: Mapping[DuePoll, float]


def select(
    urgent: Sequence[DuePoll],
    patient: Sequence[DuePoll],
    standings: Mapping[str, Standing],
    *,
    now: float,
    origin: str = "",
) -> Selection:
    """Return the polls that may share a question: those of one group, or those without a group.

    The group whose poll has waited longest goes first, so that no group starves another. A standing from
    other credentials is ignored.
    """
    standings = {subject: standing for subject, standing in standings.items() if standing.origin == origin}
    held = {subject for subject, standing in standings.items() if standing.not_before > now}
    put_off = {
        poll: standings[poll.subject].not_before
        for poll in (*urgent, *patient)
        if poll.subject in held and poll.at <= now
    }
    free = [poll for poll in (*urgent, *patient) if poll.subject not in held]
    first = min(free, key=lambda poll: poll.at, default=None)
    group = _group(first, standings) if first is not None else ""
    chosen = {poll for poll in free if _group(poll, standings) == group}
    return Selection(
        [poll for poll in urgent if poll in chosen], [poll for poll in patient if poll in chosen], put_off
    )


def halve(subjects: Sequence[str], standings: Mapping[str, Standing], *, label: str) -> dict[str, Standing]:
    """Return new standings that split the subjects into two questions."""
    middle = (len(subjects) + 1) // 2
    return {
        subject: replace(standings.get(subject, NORMAL), group=f"{label}/{int(number >= middle)}", failures=0)
        for number, subject in enumerate(subjects)
    }


def label_of(subjects: Sequence[str], standings: Mapping[str, Standing], *, now: float) -> str:
    """Return the label of a question: its group's, or a new one."""
    return standings.get(subjects[0], NORMAL).group or f"{int(now * 1000):x}:{subjects[0]}"


def after_failure(
    subjects: Sequence[str], failure: Failure, context: CallContext, *, now: float, pace: Pace, origin: str
) -> Verdict:
    """Return what follows from a question that failed, if its subjects may be the reason."""
    label = label_of(subjects, context.standings, now=now)
    failed = {
        subject: _failed(context.standings.get(subject, NORMAL), label, failure, now=now, origin=origin)
        for subject in subjects
    }
    began_at = min(standing.since for standing in failed.values())
    is_subjects = context.answered_at > began_at
    if is_subjects and len(subjects) == 1:
        return _isolate(subjects[0], failed[subjects[0]], failure, label, now=now, pace=pace)
    if context.is_down and not is_subjects and not context.standings.keys() & set(subjects):
        # The outage explains it: no subject is suspected.
        return Verdict({}, None, label, is_exhausted=True)
    # The same question waits as long as X asks. Its parts are other questions, and show if the call is down.
    must_wait = failure.retry_at is not None
    if _is_to_be_halved(failed, context, is_subjects=is_subjects, is_sure=must_wait):
        parts = halve(subjects, failed, label=label)
        return Verdict(parts, dict.fromkeys(subjects, now), label, is_subjects)
    is_exhausted = not is_subjects and _is_exhausted(failed, context, label)
    # The first failure may be a glitch; from the second on, another question shows what it is.
    wants_witness = not (is_subjects or is_exhausted) and bool(context.failed) and context.has_others
    soon = max(now + pace.soon, failure.retry_at or 0.0)
    if must_wait and not is_exhausted and len(subjects) > 1 and _parts(context) < MAX_PARTS:
        # It is not known yet whether the call is down, which other questions will show. The halves of this
        # one need not wait for as long as X asks.
        failed, soon = halve(subjects, failed, label=label), now + pace.soon
    ask_at = None if is_exhausted else dict.fromkeys(subjects, soon)
    return Verdict(failed, ask_at, label, is_subjects, is_exhausted, wants_witness)


def disjoint(labels: Sequence[str]) -> int:
    """Return how many of these questions share no subject with a smaller one among them."""
    return sum(not any(other.startswith(f"{label}/") for other in labels) for label in set(labels))


def _group(poll: DuePoll, standings: Mapping[str, Standing]) -> str:
    return standings.get(poll.subject, NORMAL).group


def _failed(standing: Standing, label: str, failure: Failure, *, now: float, origin: str) -> Standing:
    # A mere remark of X's about it is no failure.
    is_suspected = bool(standing.failures or standing.group)
    return replace(
        standing,
        reason=failure.detail,
        since=standing.since if is_suspected else now,
        group=label,
        failures=standing.failures + 1,
        origin=origin,
    )


def _isolate(
    subject: str, standing: Standing, failure: Failure, label: str, *, now: float, pace: Pace
) -> Verdict:
    """Return the verdict on a single subject that fails while others of its call are answered."""
    if standing.failures < HALVED_AFTER:
        soon = max(now + pace.soon, failure.retry_at or 0.0)
        return Verdict({subject: standing}, {subject: soon}, label, is_subjects=True)
    if not standing.not_before:
        standing = replace(standing, failures=HALVED_AFTER)
    doublings = min(standing.failures - HALVED_AFTER, MAX_DOUBLINGS)
    wait = min(pace.slowed * 2**doublings, LONGEST_SECONDS)
    if failure.retry_at is not None:
        wait = max(wait, failure.retry_at - now)
    isolated = replace(standing, not_before=now + wait)
    return Verdict({subject: isolated}, {subject: isolated.not_before}, label, is_subjects=True)


def _is_to_be_halved(
    failed: Mapping[str, Standing], context: CallContext, *, is_subjects: bool, is_sure: bool
) -> bool:
    if len(failed) < HALVED_AFTER:
        return False
    standing = next(iter(failed.values()))
    is_part = "/" in standing.group
    is_affordable = is_subjects or (
        _parts(context) < MAX_PARTS and (context.is_down or standing.group.count("/") < QUICK_HALVINGS)
    )
    return is_affordable and (is_part or is_sure or standing.failures >= HALVED_AFTER)


def _parts(context: CallContext) -> int:
    """Return how many parts questions are split into at present."""
    return len({each.group for each in context.standings.values() if each.group})


def _is_exhausted(failed: Mapping[str, Standing], context: CallContext, label: str) -> bool:
    """Return whether enough questions have failed in a row, or none is left that could be answered."""
    if disjoint((*context.failed, label)) >= WITNESSES:
        return True
    pending = any(
        standing.group and not standing.failures and not standing.not_before
        for subject, standing in context.standings.items()
        if subject not in failed
    )
    may_be_halved = len(failed) > 1 and label.count("/") < QUICK_HALVINGS
    return not (pending or context.has_others or may_be_halved)
