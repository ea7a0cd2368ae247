"""arq's view of Redis, for the worker that arq runs: what repeats is kept in arq's queue."""

from __future__ import annotations

import json
from typing import Any, Final

from arq.connections import ArqRedis
from redis.asyncio import Redis
from redis.client import EMPTY_RESPONSE

from notifier.store import schema
from notifier.store.retrying import RetryingPipeline, RetryingRedis

JOB_EXPIRES_MS: Final = 60_000
"""A job not taken within a minute is dropped: by then its time has passed."""


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
