"""What X has against a subject of a call: it fails on it, refuses it, or says something of it.

Who is in normal standing has no record. What is at fault when a request fails is found out in
:mod:`notifier.core.polling.isolation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from notifier.core.model.observation import Observation

REFUSED_SECONDS: Final = 86_400.0
"""How rarely one is asked about that X refuses for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a subject of a call stands with X. Times are epoch seconds.

    Attributes:
        reason: What X says of it, for people; empty where nothing is wrong.
        since: When that began.
        group: The question in which it is asked, empty for any. The label is that of the question that failed
            first, with a ``/0`` or ``/1`` for each halving.
        failures: How many times in a row that question has failed.
        not_before: It is not asked about before, whatever the schedule says.
        refusals: How many times, far enough apart, X has refused it.
        refused_at: When that was counted last.
        is_truncated: Whether a search has more results than one answer holds.
        origin: Under which credentials this was learned; others make it void.
    """

    reason: str = ""
    since: float = 0.0
    group: str = ""
    failures: int = 0
    not_before: float = 0.0
    refusals: int = 0
    refused_at: float = 0.0
    is_truncated: bool = False
    origin: str = ""


NORMAL: Final = Standing()


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient to be.

    Attributes:
        soon: Seconds after which a question is asked again that failed once.
        slowed: Seconds after which an isolated subject is asked about again for the first time.
        refusals: How many refusals are believed.
        apart: Seconds between two of them.
    """

    soon: float
    slowed: float
    refusals: int
    apart: float


def after_refusal(
    subject: str,
    standing: Standing,
    reason: str,
    *,
    now: float,
    pace: Pace,
    origin: str,
    fails_others: bool = True,
) -> tuple[Standing, bool]:
    """Count that X has refused a subject by name, and return whether that is now believed.

    It is asked about minutes apart, and once a day as soon as it is believed; alone where a request that
    names it fails as a whole.
    """
    counts = not standing.refusals or now - standing.refused_at >= pace.apart
    refusals = standing.refusals + counts
    is_believed = refusals >= pace.refusals
    refused = replace(
        standing,
        reason=reason,
        since=standing.since or now,
        group=f"refused:{subject}" if fails_others else standing.group,
        refusals=refusals,
        refused_at=now if counts else standing.refused_at,
        not_before=now + (REFUSED_SECONDS if is_believed else pace.apart),
        origin=origin,
    )
    return refused, is_believed


def adopt(standing: Standing, *, origin: str) -> Standing:
    """Return a standing that was learned under other credentials as it is under these: nothing is held."""
    return replace(standing, group="", failures=0, not_before=0.0, origin=origin)


def after_answer(
    subjects: Sequence[str],
    observation: Observation,
    standings: Mapping[str, Standing],
    *,
    origin: str,
) -> dict[str, Standing | None]:
    """Return the changes of standings that an answer brings; None is back to normal.

    Args:
        subjects: What the polls are filed under, in the order of the question's subjects.
        observation: The answer.
        standings: Of these subjects, those that have one.
        origin: Under which credentials it was given.
    """
    changes: dict[str, Standing | None] = {}
    for subject, asked in zip(subjects, observation.question.subjects, strict=True):
        remark = observation.remarks.get(asked)
        is_truncated = observation.is_truncated
        before = standings.get(subject)
        after = None
        if remark is not None or is_truncated:
            reason = f"X says: {remark.detail}" if remark else ""
            goes_on = before is not None and before.reason == reason
            since = before.since if before and goes_on else observation.answered_at
            after = Standing(reason=reason, since=since, is_truncated=is_truncated, origin=origin)
        if after != before:
            changes[subject] = after
    return changes
