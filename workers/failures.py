"""What follows from a question that X did not answer: who is suspected, and whether the call is down."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from notifier.core.model.observation import Call, Failure, Observation
from notifier.core.model.poll import NextPoll
from notifier.core.model.problems import FailureKind
from notifier.core.polling import isolation
from notifier.core.polling.health import CallFailure, Health, after_failure
from notifier.core.polling.isolation import HALVED_AFTER, REFUSALS, CallContext, Verdict
from notifier.core.polling.outages import respond
from notifier.core.polling.standing import NORMAL, adopt, after_answer
from notifier.source import BATCH
from workers.claimed import ClaimedQuestion
from workers.context import Worker
from workers.health import note_health
from workers.refusals import pace_of, refuse, revive_watches

log = structlog.get_logger(__name__)


async def adopt_standings(worker: Worker) -> None:
    """Lift what was learned of subjects under other credentials, and ask about them at once."""
    store, now = worker.runtime.store, worker.runtime.clock()
    for call in Call:
        foreign = {
            subject: adopt(standing, origin=worker.origin)
            for subject, standing in (await store.standings.all(call)).items()
            if standing.origin != worker.origin
        }
        await store.standings.change(call, foreign)
        await store.polls.add(call, foreign.keys(), at=now)


async def put_off(worker: Worker, poll: ClaimedQuestion, failure: Failure) -> None:
    """Schedule a failed question again, and note what its failure says of its subjects and of the call."""
    if failure.kind is FailureKind.HELD_BACK:
        # It was not asked, so it keeps its place in the line.
        await _schedule(worker, poll, {})
    elif failure.refused:
        await _put_off_refused(worker, poll, failure)
    elif failure.suspects_subjects:
        await _put_off_suspects(worker, poll, failure)
    else:
        await _put_off_call(worker, poll, failure, Verdict({}, None, "", is_exhausted=True))


async def note_answer(worker: Worker, poll: ClaimedQuestion, observation: Observation) -> None:
    """Note what an answer says of its subjects: those that it answers for are in normal standing again."""
    standings = worker.runtime.store.standings
    if poll.has_standings:
        await standings.note_answer(poll.call, now=observation.answered_at)
    await revive_watches(worker, poll)
    changes = after_answer(poll.subjects, observation, poll.standings, origin=worker.origin)
    await standings.change(poll.call, changes)


async def _put_off_refused(worker: Worker, poll: ClaimedQuestion, failure: Failure) -> None:
    """Ask at once about the subjects that X does not name, and about the others alone."""
    sign = "@" if poll.call is Call.USERS else ""
    named = dict(zip(poll.subjects, poll.question.subjects, strict=True))
    reasons = {
        subject: f"X does not accept {sign}{target}: {failure.detail}"
        for subject, target in named.items()
        if target in failure.refused
    }
    await _schedule(worker, poll, {}, leave_out=reasons)
    await refuse(worker, poll, reasons)


async def _put_off_suspects(worker: Worker, poll: ClaimedQuestion, failure: Failure) -> None:
    """Find out whether one of the subjects is at fault, by asking about fewer of them."""
    health, _ = await worker.runtime.store.health.read()
    verdict = await _suspect(worker, poll, failure, health)
    if not verdict.is_subjects:
        await _put_off_call(worker, poll, failure, verdict)
        return
    (subject, standing), *more = verdict.standings.items()
    if failure.kind in REFUSALS and not more and standing.failures >= HALVED_AFTER:
        await refuse(worker, poll, {subject: f"X refuses to answer: {failure.detail}"})
        return
    if standing.not_before:
        log.warning("source.subject_isolated", call=poll.call, subject=subject, reason=failure.detail)
    await _schedule(worker, poll, verdict.ask_at or {})


async def _suspect(worker: Worker, poll: ClaimedQuestion, failure: Failure, health: Health) -> Verdict:
    """Judge a failure by what else is known of the call, and store the standings that follow."""
    store, now, call = worker.runtime.store, worker.runtime.clock(), poll.call
    standings = {
        subject: standing
        for subject, standing in (await store.standings.all(call)).items()
        if standing.origin == worker.origin
    }
    first = await store.polls.first(call, now=now, limit=BATCH)
    others = [
        each.subject
        for each in (*first.urgent, *first.patient)
        if not standings.get(each.subject, NORMAL).group and each.subject not in poll.subjects
    ]
    outage = health.calls.get(call)
    context = CallContext(
        standings,
        await store.standings.answered_at(call),
        outage.labels if outage else (),
        is_down=outage is not None and outage.is_announced,
        has_others=bool(others),
    )
    verdict = isolation.after_failure(
        poll.subjects, failure, context, now=now, pace=pace_of(worker, call), origin=worker.origin
    )
    await store.standings.change(call, verdict.standings)
    if verdict.wants_witness:
        await store.polls.add(call, others[:1], at=now)
    return verdict


async def _put_off_call(worker: Worker, poll: ClaimedQuestion, failure: Failure, verdict: Verdict) -> None:
    """Note the failure of the call, and ask again when that may help."""
    now, cadence = worker.runtime.clock(), worker.runtime.cadence
    health, _ = await worker.runtime.store.health.read()
    before = health.calls.get(poll.call)
    response = respond(failure, now=now, cadence=cadence, refusals=before.failures + 1 if before else 1)
    call_failure = CallFailure(
        poll.call, failure, response, verdict.label, is_sure=verdict.is_exhausted, origin=worker.origin
    )
    after = await note_health(
        worker, lambda each: after_failure(each, call_failure, now=now, cadence=cadence)
    )
    is_paused = after.paused_until(poll.call) > now
    if verdict.ask_at is not None:
        await _schedule(worker, poll, verdict.ask_at)
    elif response.pause_until is not None and is_paused:
        # The pause applies to all polls. Each keeps its place, because other credentials end a pause.
        await _schedule(worker, poll, {})
    else:
        soon = now + cadence.near if response.pause_until is not None else response.ask_again_at
        await _schedule(worker, poll, dict.fromkeys(poll.subjects, soon))


async def _schedule(
    worker: Worker,
    poll: ClaimedQuestion,
    ask_at: Mapping[str, float],
    *,
    leave_out: Mapping[str, str] | None = None,
) -> None:
    """Schedule polls again, none ahead of its time; one that ``ask_at`` does not name keeps its place."""
    await worker.runtime.store.polls.schedule(
        poll.call,
        {
            due.subject: NextPoll(max(due.at, ask_at.get(due.subject, 0.0)), due.urgency)
            for due in poll.due
            if due.subject not in (leave_out or {})
        },
    )
