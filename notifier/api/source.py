"""``/v1/source``: the health of X, the remaining requests, the cost, and the polling delay."""

from collections.abc import Iterable
from itertools import groupby
from typing import Final, Literal

from pydantic import BaseModel, Field

from notifier import metrics
from notifier.api.models import Time, time_or_none
from notifier.api.operations import Call, operation
from notifier.core.model import observation
from notifier.core.model.api_key import Scope
from notifier.core.model.instants import rfc3339
from notifier.core.model.reasons import OutageKind
from notifier.core.polling.buckets import Buckets
from notifier.core.polling.health import Health
from notifier.core.polling.refusals import Refusal
from notifier.core.polling.spending import Ledger, ThriftLevel, forecast, next_day, thrift_level
from notifier.core.polling.standing import Standing
from notifier.http.access import key
from notifier.http.reply import Reply
from notifier.store import PollQueue

PATH: Final = "/v1/source"


class OutageView(BaseModel):
    """An ongoing kind of outage, as ``source.degraded`` announced it."""

    kind: OutageKind
    since: Time
    detail: str


class RequestsView(BaseModel):
    """One of X's rate buckets as its headers last described it, less what was taken since."""

    calls: list[observation.Call] = Field(description="The calls that use it, as far as that is known.")
    limit: int
    remaining: int
    resets_at: Time


class MoneyView(BaseModel):
    """What the UTC day has cost so far."""

    budget_usd: float | None
    spent_usd: float
    held_usd: float = Field(description="The worst-case cost of questions in flight.")
    forecast_usd: float = Field(description="What the day will have cost at its end.")
    space_reads: int
    user_reads: int
    resets_at: Time
    thrift: ThriftLevel = Field(description="What is polled less, or not at all, to keep the budget.")


class PollsView(BaseModel):
    """The queue of polls of one call."""

    call: observation.Call
    waiting: int = Field(description="How many polls are scheduled, due or not.")
    due: int
    under_way: int
    next_at: Time | None
    paused_until: Time | None = Field(description="The call is not made before, because it failed.")


class UnansweredView(BaseModel):
    """A subject for which X does not answer, while it answers for others."""

    call: observation.Call
    subject: str = Field(description="The id of a Space or user, or of the watch of a search or name.")
    reason: str
    since: Time
    next_at: Time | None = Field(description="No question about it is asked before.")


class LagView(BaseModel):
    """How far behind we are."""

    looks_seconds: float = Field(description="How long the longest waiting poll has been due.")
    detections: int = Field(description="Starts and ends whose time X stated.")
    mean_detection_seconds: float | None = Field(description="From that time to when we saw it.")


class RefusedView(BaseModel):
    """Values of one parameter that X does not accept at present, and that are left out of a call."""

    call: observation.Call
    parameter: str
    values: list[str]
    until: Time = Field(description="When the first of them is asked for again.")


class SourceView(BaseModel):
    """Everything about the source."""

    status: Literal["ok", "degraded", "no_credentials"]
    troubles: list[OutageView]
    requests: list[RequestsView]
    money: MoneyView
    lag: LagView
    looks: list[PollsView]
    unanswered: list[UnansweredView]
    unknown_states: dict[str, int] = Field(
        description="Unknown states of Spaces and how often they were seen: a"
        " Space keeps its phase in the meantime."
    )
    truncated: list[str] = Field(
        description="The watches of searches with more results than one answer of X holds: narrow them down."
    )
    refused: list[RefusedView] = Field(description="What is missing from X's answers because X refuses it.")


async def get_source(call: Call[None, None]) -> Reply[SourceView]:
    """Show how X is doing, the budgets, the lag and the queue of polls."""
    runtime = call.runtime
    store, now, settings = runtime.store, runtime.clock(), runtime.settings
    health, _ = await store.health.read()
    queues = await store.polls.queues(now=now)
    standings = {each: await store.standings.all(each) for each in observation.Call}
    counts = await store.telemetry.read()
    outages = health.outages()
    status: Literal["ok", "degraded"] = "degraded" if outages else "ok"
    return Reply.of(
        SourceView(
            status=status if settings.x_bearer_token else "no_credentials",
            troubles=[
                OutageView(kind=kind, since=rfc3339(outage.since), detail=outage.detail)
                for kind, outage in outages.items()
            ],
            requests=_requests(await store.budget.describe(now=now)),
            money=_money(await store.spending.ledger(now=now), settings.daily_budget_usd, now),
            lag=_lag(queues, health, counts, now),
            looks=[_polls(each, queue, health, now) for each, queue in queues.items()],
            unanswered=[
                _unanswered(each, subject, standing)
                for each, subjects in standings.items()
                for subject, standing in sorted(subjects.items())
                if standing.reason
            ],
            unknown_states={
                word: int(count) for (word,), count in sorted(metrics.UNKNOWN_STATES.read(counts).items())
            },
            truncated=sorted(
                subject
                for subject, standing in standings[observation.Call.SEARCH].items()
                if standing.is_truncated
            ),
            refused=_refused(await store.refusals.current(now)),
        )
    )


def _requests(buckets: Buckets) -> list[RequestsView]:
    described = {bucket.calls: bucket for bucket in buckets.by_call.values()}
    return [
        RequestsView(
            calls=sorted(calls),
            limit=bucket.limit,
            remaining=bucket.remaining,
            resets_at=rfc3339(bucket.reset),
        )
        for calls, bucket in described.items()
    ]


def _money(ledger: Ledger, budget: float | None, now: float) -> MoneyView:
    return MoneyView(
        budget_usd=budget,
        spent_usd=round(ledger.spent, 6),
        held_usd=round(ledger.held, 6),
        forecast_usd=round(forecast(ledger, now=now), 6),
        space_reads=ledger.space_reads,
        user_reads=ledger.user_reads,
        resets_at=rfc3339(next_day(now)),
        thrift=thrift_level(ledger, budget, now=now),
    )


def _polls(call: observation.Call, queue: PollQueue, health: Health, now: float) -> PollsView:
    paused_until = health.paused_until(call)
    first_at = None if queue.first_at is None else max(queue.first_at, paused_until)
    return PollsView(
        call=call,
        waiting=queue.waiting,
        due=queue.due,
        under_way=queue.in_flight,
        next_at=time_or_none(first_at),
        paused_until=rfc3339(paused_until) if paused_until > now else None,
    )


def _unanswered(call: observation.Call, subject: str, standing: Standing) -> UnansweredView:
    return UnansweredView(
        call=call,
        subject=subject,
        reason=standing.reason,
        since=rfc3339(standing.since),
        next_at=time_or_none(standing.not_before or None),
    )


def _refused(refusals: Iterable[Refusal]) -> list[RefusedView]:
    views = []
    for (call, parameter), group in groupby(refusals, lambda each: (each.call, each.parameter)):
        each = tuple(group)
        until = rfc3339(min(refusal.until for refusal in each))
        values = [refusal.value for refusal in each]
        views.append(RefusedView(call=call, parameter=parameter, values=values, until=until))
    return views


def _lag(
    queues: dict[observation.Call, PollQueue], health: Health, counts: dict[str, float], now: float
) -> LagView:
    # Nobody is behind with a call that waits for X.
    open_calls = [queue for call, queue in queues.items() if health.paused_until(call) <= now]
    first = min((queue.first_at for queue in open_calls if queue.first_at is not None), default=now)
    durations = metrics.DETECTION_LAG_SECONDS.total(counts)
    return LagView(
        looks_seconds=round(max(now - first, 0.0), 3),
        detections=durations.number,
        mean_detection_seconds=round(durations.seconds / durations.number, 3) if durations.number else None,
    )


OPERATIONS: Final = (operation("GET", PATH, get_source, key(Scope.SOURCE_READ)),)
