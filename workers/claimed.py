"""A question that was claimed, with the polls that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifier.core.model.observation import Call, Question
from notifier.core.model.poll import DuePoll, Urgency
from notifier.core.polling.standing import Standing


@dataclass(frozen=True, slots=True)
class ClaimedQuestion:
    """A question, and the polls that it answers, in the order of the question's subjects.

    Attributes:
        standings: What X has against its subjects, as far as it has anything.
        has_standings: Whether it has anything against any subject of the call.
    """

    question: Question
    due: tuple[DuePoll, ...]
    standings: Mapping[str, Standing] = field(default_factory=dict)
    has_standings: bool = False

    @property
    def call(self) -> Call:
        """By which call X is asked."""
        return self.question.call

    @property
    def subjects(self) -> tuple[str, ...]:
        """What the polls are filed under in the schedule."""
        return tuple(poll.subject for poll in self.due)

    @property
    def urgency(self) -> Urgency:
        """That of its most urgent part."""
        is_urgent = any(poll.urgency is Urgency.URGENT for poll in self.due)
        return Urgency.URGENT if is_urgent else Urgency.PATIENT
