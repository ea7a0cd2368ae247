"""What to ask next: which of the polls that are due, or due soon, share one request.

docs/architecture.md, "Polling again", has the reasons.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from notifier.core.model.poll import DuePoll

PATIENT_SHARE: Final = 0.1
"""The share of each request that is reserved for patient polls that are due."""


def fill(
    urgent: Sequence[DuePoll], patient: Sequence[DuePoll], *, now: float, soon: float, limit: int
) -> list[DuePoll]:
    """Return the polls that one request carries.

    Urgent polls that are due go first, except for a share reserved for the rest, so that nothing starves. A
    request costs the same for one subject as for a hundred, so it is filled with what is due by ``soon``.

    Args:
        urgent: The first ``limit`` urgent polls by time, due or not.
        patient: The same for the patient ones.
        now: Epoch seconds.
        soon: Epoch second up to which a poll may be made early.
        limit: How many subjects the request may carry.

    Returns:
        The chosen polls; none if nothing is due yet.
    """
    due_urgent = [poll for poll in urgent if poll.at <= now]
    due_patient = [poll for poll in patient if poll.at <= now]
    if not due_urgent and not due_patient:
        return []
    if limit == 1:
        # A single place cannot be shared, so it goes to the poll that has waited longest.
        return [min((*due_urgent, *due_patient), key=lambda poll: poll.at)]
    reserved = min(len(due_patient), int(limit * PATIENT_SHARE) or 1)
    first = due_urgent[: limit - reserved]
    chosen = [*first, *due_patient[: limit - len(first)]]
    taken = {poll.subject for poll in chosen}
    for poll in sorted((*urgent, *patient), key=lambda poll: poll.at):
        if len(chosen) == limit or poll.at > soon:
            break
        if poll.subject not in taken:
            chosen.append(poll)
            taken.add(poll.subject)
    return chosen


def of_one_kind(polls: Sequence[DuePoll], over: Collection[str]) -> list[DuePoll]:
    """Return the polls that can share a question: those of Spaces that are over, or the others.

    Nobody needs the people of a Space that is over, so they are not requested. The kind whose poll has waited
    longest goes first.

    Args:
        polls: The chosen polls, at least one.
        over: The Spaces that are over.
    """
    first = min(polls, key=lambda poll: poll.at)
    return [poll for poll in polls if (poll.subject in over) == (first.subject in over)]
