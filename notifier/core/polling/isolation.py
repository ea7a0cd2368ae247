"""Isolating the subject that X chokes on, so that those who share its requests do not pay for it.

X answers a request for up to a hundred subjects as a whole: one id that it cannot digest makes all of them
fail. Nothing in such a failure says whether the call is down or a subject is at fault, so it is tried out. A
question that fails twice in a row is halved, and so is each part that fails again, until a single subject is
left. It is at fault once another question of its call was answered since it first failed; it is then asked
alone and ever more rarely. While nothing at all is answered, other questions serve as witnesses: only when
several that share no subject have failed on end, or no other is left to ask, the call itself is down.

Everything here is pure; :mod:`workers.failures` puts it into effect.
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
"""How many questions that share no subject must fail on end before the call itself counts as down."""

QUICK_HALVINGS: Final = 2
"""How often a question is halved before it is known that the call is down: into quarters."""

MOST_PARTS: Final = 32
"""Into how many parts questions are split while nothing is answered: each costs a request afterwards."""

LONGEST_SECONDS: Final = 3600.0
"""How rarely a subject is asked about at most that X fails on."""

MOST_DOUBLINGS: Final = 16

REFUSALS: Final = frozenset({FailureKind.REFUSED, FailureKind.UNAUTHORIZED})
"""Failures of a lone subject that say X does not want to answer, rather than that it cannot."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else is known of the call. Times are epoch seconds.

    Attributes:
        standings: Of all its subjects that have one.
        answered_at: When it was last answered while a subject had a standing; 0 for never.
        failed: The labels of the questions that have failed on end since.
        is_down: Whether it counts as down already.
        has_others: Whether the schedule has a subject that is in no group yet and was not in this question.
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
        ask_at: When which of them is asked about again; None leaves that to the response to the failure.
        label: The name of the question that failed.
        is_subjects: A subject is at fault, so the failure says nothing of the call.
        is_exhausted: There is no other question that could show whether the call is down.
        wants_witness: A subject that was not in this question is to be asked about now.
    """

    standings: Mapping[str, Standing]
    ask_at: Mapping[str, float] | None
    label: str
    is_subjects: bool = False
    is_exhausted: bool = False
    wants_witness: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The polls that may share the next question; ``put_off`` are due and must wait until that moment."""

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
    """Choose whose polls may share a question: those of one group, or those that are in none.

    The group whose poll has waited longest goes first, so that neither side starves the other. A standing
    that was learned under other credentials is void.
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
    """Return new standings by which the subjects are asked about in two parts."""
    middle = (len(subjects) + 1) // 2
    return {
        subject: replace(standings.get(subject, NORMAL), group=f"{label}/{int(number >= middle)}", failures=0)
        for number, subject in enumerate(subjects)
    }


def label_of(subjects: Sequence[str], standings: Mapping[str, Standing], *, now: float) -> str:
    """Return the name of a question: its group's, or a new one."""
    return standings.get(subjects[0], NORMAL).group or f"{int(now * 1000):x}:{subjects[0]}"


def after_failure(
    subjects: Sequence[str], failure: Failure, around: Surroundings, *, now: float, pace: Pace, origin: str
) -> Verdict:
    """Conclude what follows from a question that failed, where its subjects may be the reason."""
    label = label_of(subjects, around.standings, now=now)
    failed = {
        subject: _failed(around.standings.get(subject, NORMAL), label, failure, now=now, origin=origin)
        for subject in subjects
    }
    began_at = min(standing.since for standing in failed.values())
    is_subjects = around.answered_at > began_at
    if is_subjects and len(subjects) == 1:
        return _isolate(subjects[0], failed[subjects[0]], failure, label, now=now, pace=pace)
    if around.is_down and not is_subjects and not around.standings.keys() & set(subjects):
        # The outage explains it: nobody is suspected for what everybody suffers.
        return Verdict({}, None, label, is_exhausted=True)
    # What X asks for is kept by the same question. Its parts are others, and show whether the call is down.
    is_told_to_wait = failure.retry_at is not None
    if _is_to_be_halved(failed, around, is_subjects=is_subjects, is_sure=is_told_to_wait):
        parts = halve(subjects, failed, label=label)
        return Verdict(parts, dict.fromkeys(subjects, now), label, is_subjects)
    is_exhausted = not is_subjects and _is_exhausted(failed, around, label)
    # The first failure on end may be a hiccup; from the second on another question shows what it is.
    wants_witness = not (is_subjects or is_exhausted) and bool(around.failed) and around.has_others
    soon = max(now + pace.soon, failure.retry_at or 0.0)
    ask_at = None if is_exhausted else dict.fromkeys(subjects, soon)
    return Verdict(failed, ask_at, label, is_subjects, is_exhausted, wants_witness)


def disjoint(labels: Sequence[str]) -> int:
    """Return how many of these questions share no subject with a smaller one among them."""
    return sum(not any(other.startswith(f"{label}/") for other in labels) for label in set(labels))


def _group(poll: DuePoll, standings: Mapping[str, Standing]) -> str:
    return standings.get(poll.subject, NORMAL).group


def _failed(standing: Standing, label: str, failure: Failure, *, now: float, origin: str) -> Standing:
    # What X only said of it is no failure, however long ago.
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
    """Slow a lone subject down that fails while others of its call are answered."""
    if standing.failures < HALVED_AFTER:
        soon = max(now + pace.soon, failure.retry_at or 0.0)
        return Verdict({subject: standing}, {subject: soon}, label, is_subjects=True)
    if not standing.not_before:
        standing = replace(standing, failures=HALVED_AFTER)
    doublings = min(standing.failures - HALVED_AFTER, MOST_DOUBLINGS)
    wait = min(pace.slowed * 2**doublings, LONGEST_SECONDS)
    if failure.retry_at is not None:
        wait = max(wait, failure.retry_at - now)
    isolated = replace(standing, not_before=now + wait)
    return Verdict({subject: isolated}, {subject: isolated.not_before}, label, is_subjects=True)


def _is_to_be_halved(
    failed: Mapping[str, Standing], around: Surroundings, *, is_subjects: bool, is_sure: bool
) -> bool:
    if len(failed) < HALVED_AFTER:
        return False
    standing = next(iter(failed.values()))
    is_part = "/" in standing.group
    parts = {each.group for each in around.standings.values() if each.group}
    is_affordable = is_subjects or (
        len(parts) < MOST_PARTS and (around.is_down or standing.group.count("/") < QUICK_HALVINGS)
    )
    return is_affordable and (is_part or is_sure or standing.failures >= HALVED_AFTER)


def _is_exhausted(failed: Mapping[str, Standing], around: Surroundings, label: str) -> bool:
    """Return whether enough questions have failed on end, or none is left that could be answered."""
    if disjoint((*around.failed, label)) >= WITNESSES:
        return True
    pending = any(
        standing.group and not standing.failures and not standing.not_before
        for subject, standing in around.standings.items()
        if subject not in failed
    )
    may_be_halved = len(failed) > 1 and label.count("/") < QUICK_HALVINGS
    return not (pending or around.has_others or may_be_halved)
