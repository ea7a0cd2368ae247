"""The standing of a subject of a call: X fails on it, refuses it, or has a remark about it.

Subjects in normal standing have no record. :mod:`notifier.core.polling.isolation` finds out what is at fault
when a request fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from notifier.core.model.observation import Observation

REFUSED_SECONDS: Final = 86_400.0
"""The interval between two questions about a subject that X permanently refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The standing of a subject of a call. Times are epoch seconds.

    Attributes:
        reason: What X says about it, for people; empty if nothing is wrong.
        since: When that began.
        group: The question it is part of, empty for any. The label is that of the question that failed first,
            with a ``/0`` or ``/1`` for each halving.
        failures: How many times in a row that question has failed.
        not_before: No question about it is asked before, whatever the schedule says.
        refusals: How many times, far enough apart, X has refused it.
        refused_at: When that was last counted.
        is_truncated: Whether a search has more results than fit in one answer.
        origin: The credentials under which this was observed; with others it does not apply.
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
        soon: Seconds after which a question that failed once is asked again.
        slowed: Seconds until the first new question about an isolated subject.
        refusals: How many refusals it takes to believe them.
        apart: Minimum seconds between two of them.
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
    """Return the standing after X has refused a subject by name, and whether the refusal is now believed.

    The subject is then asked about minutes apart, and once a day when the refusal is believed; alone if a
    request that names it fails as a whole.
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
    """Return a standing from other credentials as it applies to these: without groups and waits."""
    return replace(standing, group="", failures=0, not_before=0.0, origin=origin)


def after_answer(
    subjects: Sequence[str],
    observation: Observation,
    standings: Mapping[str, Standing],
    *,
    origin: str,
) -> dict[str, Standing | None]:
    """Return the changes of standings after an answer; None means back to normal.

    Args:
        subjects: The subjects of the polls, in the order of the question's subjects.
        observation: The answer.
        standings: The standings of those subjects that have one.
        origin: The credentials of the question.
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
