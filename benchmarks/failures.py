"""The workers' handling of failed requests, on a simulated clock and without Redis."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.schedule import Schedule
from notifier.core.model.observation import Call, Failure
from notifier.core.model.poll import Cadence, DuePoll, NextPoll, Urgency
from notifier.core.polling.health import CallFailure, Health, after_answer, after_failure
from notifier.core.polling.isolation import CallContext, Selection, Verdict, select
from notifier.core.polling.isolation import after_failure as judge
from notifier.core.polling.outages import respond
from notifier.core.polling.standing import NORMAL, Pace, Standing
from notifier.source import BATCH

SURE = Verdict({}, None, "", is_exhausted=True)


class FailureHandling:
    """The standings of one call's subjects, and whether the call is down.

    Attributes:
        isolated: How many failures were those of a single subject.
    """

    def __init__(self, call: Call, polls: Schedule, *, cadence: Cadence) -> None:
        slowed = 2 * (cadence.live if call is Call.LOOKUP else cadence.discovery)
        self.isolated = 0
        self._call = call
        self._polls = polls
        self._cadence = cadence
        self._pace = Pace(cadence.near, slowed, 2, 120.0)
        self._standings: dict[str, Standing] = {}
        self._answered_at = 0.0
        self._health = Health()

    def choose(self, urgent: Sequence[DuePoll], patient: Sequence[DuePoll], *, now: float) -> Selection:
        """Return the polls that may share the next question, after postponing those that must wait."""
        selection = select(urgent, patient, self._standings, now=now)
        for poll, at in selection.put_off.items():
            self._polls.file(poll.subject, NextPoll(at, poll.urgency))
        return selection

    def paused_until(self) -> float:
        """Return the epoch second before which the call is not made, 0 if it may be."""
        return self._health.paused_until(self._call)

    def answered(self, subjects: Sequence[str], *, now: float) -> None:
        """Record that X answered for these."""
        self._health = after_answer(self._health, self._call)
        if self._standings:
            self._answered_at = now
            for subject in subjects:
                self._standings.pop(subject, None)

    def failed(self, due: Sequence[DuePoll], failure: Failure, *, now: float) -> None:
        """Reschedule the polls of a failed question."""
        verdict = self._judge(due, failure, now=now) if failure.suspects_subjects else SURE
        response = respond(failure, now=now, cadence=self._cadence)
        if not verdict.is_subjects:
            call_failure = CallFailure(
                self._call, failure, response, verdict.label, is_sure=verdict.is_exhausted
            )
            self._health = after_failure(self._health, call_failure, now=now, cadence=self._cadence)
        for poll in due:
            at = response.ask_again_at if verdict.ask_at is None else verdict.ask_at[poll.subject]
            self._polls.file(poll.subject, NextPoll(max(poll.at, at), poll.urgency))

    def _judge(self, due: Sequence[DuePoll], failure: Failure, *, now: float) -> Verdict:
        subjects = [poll.subject for poll in due]
        urgent, patient = self._polls.first(BATCH)
        others = [poll for poll in (*urgent, *patient) if not self._is_grouped(poll.subject)]
        outage = self._health.calls.get(self._call)
        context = CallContext(
            self._standings,
            self._answered_at,
            outage.labels if outage else (),
            is_down=outage is not None and outage.is_announced,
            has_others=bool(others),
        )
        verdict = judge(subjects, failure, context, now=now, pace=self._pace, origin="")
        self._standings |= verdict.standings
        self.isolated += verdict.is_subjects and len(due) == 1
        if verdict.wants_witness:
            self._polls.file(others[0].subject, NextPoll(now, Urgency.URGENT))
        return verdict

    def _is_grouped(self, subject: str) -> bool:
        return bool(self._standings.get(subject, NORMAL).group)
