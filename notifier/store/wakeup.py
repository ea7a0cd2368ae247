"""Wakeups: the jobs that some worker is to run now.

A sorted set holds their names, each once, however often somebody rings for it. Every worker waits for the
next one in a blocking read: it begins within a round trip, and costs nothing until then. A wakeup carries no
payload, and losing it only delays work until the next sweep.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, TypeAlias

from notifier.store import schema
from notifier.store.database import Database

JobName: TypeAlias = str
"""A :class:`Job`, or ``deliver:<partition>``."""

SEPARATOR: Final = ":"


class Job(StrEnum):
    """What a worker can be woken for; a delivery job also names its partition."""

    OBSERVE = "observe"
    DISPATCH = "dispatch"
    TIMERS = "timers"
    RECOVER = "recover"
    CHALLENGE = "challenge"
    APPLY = "apply"
    DELIVER = "deliver"


def deliver_job(partition: int) -> JobName:
    """Return the name of the job that drains a partition."""
    return f"{Job.DELIVER}{SEPARATOR}{partition}"


def is_job(name: str) -> bool:
    """Return whether a name is a job's."""
    job, _, partition = name.partition(SEPARATOR)
    return partition.isdecimal() if job == Job.DELIVER else name in set(Job)


class Wakeup:
    """Wakes workers by the names of jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ring(self, *jobs: JobName) -> None:
        """Have some worker run each of these jobs; one that is waiting for a worker already stays one.

        Raises:
            UnavailableError: Redis does not answer.
        """
        if jobs:
            async with self._database.translated():
                rung_at = int(time.time() * 1000)
                await self._database.redis.zadd(schema.WAKEUPS(), dict.fromkeys(jobs, rung_at), nx=True)

    async def deliver(self, partitions: Iterable[int]) -> None:
        """Have partitions drained."""
        await self.ring(*map(deliver_job, partitions))

    async def next(self, *, seconds: float) -> JobName | None:
        """Wait for a job and take it, the one that has waited longest first; None if there is none in time.

        Raises:
            UnavailableError: Redis does not answer.
        """
        async with self._database.translated():
            taken = await self._database.redis.bzpopmin(schema.WAKEUPS(), timeout=seconds)
        return None if taken is None else str(taken[1])
