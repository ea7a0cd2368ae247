"""Polling: choose what is due, ask X, hand each answer on to be applied, and come back in time."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from notifier import metrics
from notifier.core.delivery.filters import people_wanted
from notifier.core.model.ids import WatchId
from notifier.core.model.observation import Call, Observation, People, Question
from notifier.core.model.poll import DuePoll, NextPoll, Urgency
from notifier.core.polling.batching import fill
from notifier.core.polling.health import Health, after_answer
from notifier.core.polling.isolation import select
from notifier.core.polling.spending import discovery_stretch, next_day
from notifier.errors import VersionConflictError
from notifier.source import BATCH, XClient
from notifier.store import Job
from notifier.store.polls import FirstPolls
from workers.affording import afford, settle
from workers.applying import apply_spaces
from workers.claimed import ClaimedQuestion
from workers.context import Worker
from workers.dispatch import empty_outbox
from workers.failures import note_answer, put_off
from workers.health import note_health
from workers.naming import apply_names, ask_each_creator

ROUNDS: Final = 20
"""How many times one job claims; whatever is still due then is for the next one."""

DISCOVERY: Final = frozenset({Call.CREATORS, Call.SEARCH})

log = structlog.get_logger(__name__)


async def observe(worker: Worker) -> None:
    """Job: ask X about everything that is due, by each call at its own pace."""
    if worker.x is None:
        return
    async with asyncio.TaskGroup() as group:
        for call in Call:
            group.create_task(_ask_by(worker, worker.x, call))


async def _ask_by(worker: Worker, x: XClient, call: Call) -> None:
    """Ask by one call until nothing is due or may be asked, and have the job come back when it is."""
    wake_at = worker.runtime.clock()
    for _ in range(ROUNDS):
        if worker.stopping.is_set():
            return
        health, _ = await worker.runtime.store.health.read()
        poll, wake_at = await _claim(worker, health, call)
        if poll is None:
            break
        await _take(worker, x, poll, health)
    if wake_at < math.inf:
        worker.ring_in(Job.OBSERVE, wake_at - worker.runtime.clock())


async def _claim(worker: Worker, health: Health, call: Call) -> tuple[ClaimedQuestion | None, float]:
    """Claim the next question by a call, or say when there will be one."""
    store, now = worker.runtime.store, worker.runtime.clock()
    chosen, first, wake_at = await _choose(worker, call, now=now)
    if chosen:
        wake_at = await _not_before(worker, health, call, chosen, now=now)
    if not chosen or wake_at > now:
        return None, wake_at
    claimed = await store.polls.claim(call, chosen, now=now)
    people = people_wanted((await store.endpoints.all()).values())
    if not people.costs_extra and await store.watches.follow_hosts():
        people = People.ON_STAGE
    poll = await _question(worker, call, claimed, people=people)
    if poll is None:
        return None, wake_at
    standings = {subject: first.standings[subject] for subject in poll.subjects if subject in first.standings}
    return replace(poll, standings=standings, has_standings=first.has_standings), wake_at


async def _choose(worker: Worker, call: Call, *, now: float) -> tuple[list[DuePoll], FirstPolls, float]:
    """Choose the subjects of the next question by a call, or say when there will be one."""
    limit = 1 if call is Call.SEARCH else BATCH
    # A search that must wait would hide those behind it.
    first = await worker.runtime.store.polls.first(call, now=now, limit=BATCH)
    selection = select(first.urgent, first.patient, first.standings, now=now, origin=worker.origin)
    later = {poll.subject: NextPoll(at, poll.urgency) for poll, at in selection.put_off.items()}
    await worker.runtime.store.polls.schedule(call, later)
    cadence = worker.runtime.cadence
    ahead = {Call.LOOKUP: cadence.scheduled, Call.CREATORS: cadence.discovery / 2}.get(call, 0.0)
    chosen = fill(selection.urgent, selection.patient, now=now, soon=now + ahead, limit=limit)
    wake_at = min((poll.at for poll in (*selection.urgent[:1], *selection.patient[:1])), default=math.inf)
    return chosen, first, wake_at


async def _not_before(
    worker: Worker, health: Health, call: Call, chosen: list[DuePoll], *, now: float
) -> float:
    """Return the epoch second before which the chosen question cannot be asked."""
    paused_until = health.paused_until(call, origin=worker.origin)
    if paused_until > now:
        return paused_until
    if call in DISCOVERY and math.isinf(await _discovery_stretch(worker, now=now)):
        return next_day(now)
    urgency = ClaimedQuestion(Question(call, ()), tuple(chosen)).urgency
    return now + await worker.runtime.store.budget.wait(call, urgency, now=now)


async def _discovery_stretch(worker: Worker, *, now: float) -> float:
    """Return by how much discovery is slowed down for the sake of the day's money."""
    budget = worker.runtime.settings.daily_budget_usd
    if budget is None:
        return 1.0
    return discovery_stretch(await worker.runtime.store.spending.ledger(now=now), budget, now=now)


async def _question(
    worker: Worker, call: Call, claimed: list[DuePoll], *, people: People
) -> ClaimedQuestion | None:
    """Return the question for claimed polls; those of deleted watches are dropped."""
    subjects = [poll.subject for poll in claimed]
    if call in (Call.LOOKUP, Call.CREATORS):
        return (
            ClaimedQuestion(Question(call, tuple(subjects), people=people), tuple(claimed))
            if claimed
            else None
        )
    watches = await worker.runtime.store.watches.get_many(subjects)
    gone = [subject for subject in subjects if subject not in watches]
    await worker.runtime.store.polls.schedule(call, dict.fromkeys(gone))
    named = tuple(poll for poll in claimed if poll.subject in watches)
    targets = [watches[WatchId(poll.subject)].target for poll in named]
    if call is Call.USERS:
        targets = [target.removeprefix("@") for target in targets]
    return ClaimedQuestion(Question(call, tuple(targets), people=people), named) if named else None


async def _take(worker: Worker, x: XClient, poll: ClaimedQuestion, health: Health) -> None:
    """Take one poll, or as much of it as the day's money reaches for."""
    affordable = await afford(worker, poll.question, poll.due)
    if affordable is None:
        return
    poll = replace(poll, question=affordable.question, due=affordable.due)
    observation = await x.ask(poll.question, urgency=poll.urgency)
    # News is worth most at once; what it cost is noted meanwhile.
    _, comes_back = await asyncio.gather(
        settle(worker, observation, affordable.hold), _take_in(worker, poll, observation, health)
    )
    if comes_back:
        await _come_back(worker, poll, observation)


async def _take_in(worker: Worker, poll: ClaimedQuestion, observation: Observation, health: Health) -> bool:
    """Take in an answer or a failure, and have the events dispatched; return whether the poll comes back."""
    comes_back = False
    result = observation.failure.kind if observation.failure else "ok"
    worker.runtime.tally.count(metrics.OBSERVATIONS, poll.call, result)
    try:
        if observation.failure is not None:
            await put_off(worker, poll, observation.failure)
        else:
            comes_back = await _apply(worker, poll, observation, health)
    except VersionConflictError as error:
        # The poll stays leased and returns later; the other polls of this job continue.
        log.warning("observe.contended", call=poll.call, reason=error.message)
    await empty_outbox(worker)
    return comes_back


async def _apply(worker: Worker, poll: ClaimedQuestion, observation: Observation, health: Health) -> bool:
    """Take in an answer; return whether its poll comes back with the next discovery."""
    if poll.call in health.calls:
        await note_health(worker, partial(after_answer, call=poll.call))
    if poll.call is Call.USERS:
        await apply_names(worker, poll, observation)
        return False
    await note_answer(worker, poll, observation)
    await apply_spaces(worker, poll.subjects, observation)
    return not await ask_each_creator(worker, poll, observation) and poll.call in DISCOVERY


async def _come_back(worker: Worker, poll: ClaimedQuestion, observation: Observation) -> None:
    """File the next poll of creators and searches; a Space's own is filed with its commit."""
    now, wait = observation.answered_at, worker.runtime.cadence.discovery
    stretch = await _discovery_stretch(worker, now=now)
    # With the new day comes new money, so nothing is put off beyond its beginning for want of it.
    later = max(now + wait, min(now + wait * stretch, next_day(now)))
    again = NextPoll(later, Urgency.PATIENT)
    await worker.runtime.store.polls.schedule(poll.call, dict.fromkeys(poll.subjects, again))
