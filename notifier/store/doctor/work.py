"""Checks of other work: recoveries, wakeups, arq's jobs, and the counter of the log."""

from __future__ import annotations

import json
from typing import Final

from notifier.core.delivery.recovery import RecoveryStatus
from notifier.store import schema
from notifier.store.database import Database
from notifier.store.doctor.finding import Finding, atomically, members, score_of
from notifier.store.doctor.keyspace import Keyspace
from notifier.store.recoveries import read_recovery
from notifier.store.wakeup import is_job

NUMBERED: Final = (schema.WATCHES(), schema.SPACES(), schema.EVENTS(), schema.ENDPOINTS(), schema.OUTBOX())
"""The indexes whose scores are serial numbers."""

FARTHEST_JOB_SECONDS: Final = 86_400.0
"""No job is scheduled later than this; later work is kept in our own records."""

JOB: Final = "arq:job:"


async def examine_work(database: Database, keyspace: Keyspace) -> list[Finding]:
    """Examine recoveries, wakeups, jobs and the counter of serial numbers."""
    found = await _serial(database)
    async for names in members(database, schema.WAKEUPS(), "zset"):
        found += [Finding(schema.WAKEUPS(), f"{name} is no job") for name in names if not is_job(name)]
    found += await _jobs(database)
    for recovery_id in keyspace.parts(schema.RECOVERY, "recovery"):
        found += await _recovery(database, recovery_id)
    async for recovery_ids in members(database, schema.RECOVERING(), "zset"):
        for recovery_id in recovery_ids:
            exists, at = await atomically(
                database,
                ("EXISTS", schema.RECOVERY(recovery_id)),
                ("ZSCORE", schema.RECOVERING(), recovery_id),
            )
            if at is not None and not exists:
                found.append(Finding(schema.RECOVERING(), f"there is no recovery {recovery_id}"))
    return found


async def _serial(database: Database) -> list[Finding]:
    serial, *latest = await atomically(
        database,
        ("GET", schema.SERIAL()),
        *(("ZRANGE", index, -1, -1, "WITHSCORES") for index in NUMBERED),
    )
    highest = max((score_of(row) or 0 for row in latest), default=0)
    if highest <= int(serial or 0):
        return []
    return [Finding(schema.SERIAL(), "is lower than what was handed out: two records will have one place")]


async def _recovery(database: Database, recovery_id: str) -> list[Finding]:
    key = schema.RECOVERY(recovery_id)
    row, at = await atomically(database, ("HGETALL", key), ("ZSCORE", schema.RECOVERING(), recovery_id))
    if not row:
        return []
    try:
        recovery = read_recovery(row)
    except (KeyError, ValueError) as error:
        return [Finding(key, f"cannot be read ({type(error).__name__})")]
    found = []
    is_running = recovery.status is RecoveryStatus.RUNNING
    if is_running != (at is not None):
        fault = "runs and is not in it" if is_running else f"is {recovery.status} and still in it"
        found.append(Finding(schema.RECOVERING(), f"{recovery_id} {fault}"))
    if is_running == (recovery.finished_at is not None):
        found.append(Finding(key, f"is {recovery.status}, which its end contradicts"))
    if recovery.skipped < 0:
        found.append(Finding(key, "has queued more than it has considered"))
    if recovery.status is RecoveryStatus.DONE and recovery.position < recovery.last:
        found.append(Finding(key, f"is done at {recovery.position}, before its last event {recovery.last}"))
    return found


async def _jobs(database: Database) -> list[Finding]:
    """Examine what arq has to run; a job whose payload has expired is dropped by arq itself."""
    found = []
    async for job_ids in members(database, schema.JOBS(), "zset"):
        for job_id in job_ids:
            time, at, payload = await atomically(
                database, ("TIME",), ("ZSCORE", schema.JOBS(), job_id), ("GET", JOB + job_id)
            )
            if at is not None and float(at) > (time[0] + FARTHEST_JOB_SECONDS) * 1000:
                found.append(Finding(schema.JOBS(), f"{job_id} is set for more than a day ahead"))
            if payload is not None and not _is_job(payload):
                found.append(Finding(JOB + job_id, "is no job that a worker can read"))
    return found


def _is_job(payload: str) -> bool:
    try:
        job = json.loads(payload)
    except ValueError:
        return False
    return isinstance(job, dict) and isinstance(job.get("f"), str) and isinstance(job.get("a"), list)
