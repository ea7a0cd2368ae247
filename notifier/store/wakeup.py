"""The one place outside the workers that knows arq: it wakes them when there is work.

A wakeup carries ids, never payload, and losing it only delays work until the next sweep.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from arq.connections import ArqRedis
from redis.asyncio import Redis
from redis.client import EMPTY_RESPONSE

from notifier.store import schema
from notifier.store.database import Database
from notifier.store.retrying import RetryingPipeline, RetryingRedis

JOB_EXPIRES_MS: Final = 60_000
"""A job not taken within a minute is dropped, since the sweep will have enqueued another."""


def to_job(record: dict[str, Any]) -> bytes:
    """Write a job as JSON: arq's own pickles would let anyone who writes to Redis run code in the workers."""
    return json.dumps(record).encode()


def from_job(raw: bytes) -> dict[str, Any]:
    """Read a job."""
    job: dict[str, Any] = json.loads(raw)
    return job


class JobQueue(ArqRedis):
    """arq's view of a connection."""

    async def close(self, close_connection_pool: bool | None = None) -> None:
        """Close, under the name that arq uses and redis-py has deprecated."""
        await self.aclose(close_connection_pool)


class QueuePipeline(RetryingPipeline):
    """arq's pipeline: at its start arq logs what ``INFO`` says, and what is refused there is left out."""

    def info(self, *sections: Any, **_: Any) -> Any:  # noqa: ANN401 - as in redis-py
        """Ask for a section of INFO, which a user need not be allowed."""
        return self.execute_command("INFO", *sections, **{EMPTY_RESPONSE: {}})

    def dbsize(self, **_: Any) -> Any:  # noqa: ANN401 - as in redis-py
        """Ask for the number of keys, which a user need not be allowed."""
        return self.execute_command("DBSIZE", **{EMPTY_RESPONSE: "?"})


class RetryingJobQueue(RetryingRedis, JobQueue):  # type: ignore[misc]  # the library's bases disagree
    """The same over a client that waits for the server."""

    pipeline_class = QueuePipeline


def job_queue(redis: Redis) -> ArqRedis:
    """Return arq's view of a connection; where its client waits for the server, arq waits as well."""
    options: dict[str, Any] = {
        "pool_or_conn": redis.connection_pool,
        "job_serializer": to_job,
        "job_deserializer": from_job,
        "default_queue_name": schema.JOBS(),
        "expires_extra_ms": JOB_EXPIRES_MS,
    }
    if not isinstance(redis, RetryingRedis):
        return JobQueue(**options)
    queue = RetryingJobQueue(**options)
    queue.retrying = redis.retrying
    return queue


class Wakeup:
    """Enqueues jobs by name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs = job_queue(database.redis)

    async def observe(self) -> None:
        """Have due polls made."""
        await self._enqueue("observe")

    async def observe_at(self, moment: float) -> None:
        """Have due polls made at an epoch second; the same time twice is one job."""
        async with self._database.translated():
            await self._jobs.enqueue_job(
                "observe",
                _job_id=f"observe:{int(moment * 1000)}",
                _defer_until=datetime.fromtimestamp(moment, UTC),
            )

    async def dispatch(self) -> None:
        """Have the outbox dispatched."""
        await self._enqueue("dispatch")

    async def fire_timers(self) -> None:
        """Have the timers that are due handled."""
        await self._enqueue("timers")

    async def recover(self) -> None:
        """Have the running recoveries continued."""
        await self._enqueue("recover")

    async def challenge(self) -> None:
        """Have the receivers challenged that are due for it."""
        await self._enqueue("challenge")

    async def deliver(self, partitions: Iterable[int]) -> None:
        """Have partitions drained."""
        for partition in partitions:
            await self._enqueue("deliver", partition)

    async def _enqueue(self, job: str, *args: int) -> None:
        async with self._database.translated():
            await self._jobs.enqueue_job(job, *args)
