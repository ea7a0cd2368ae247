"""Small records: workers' reports, what was counted, the admin key, answers kept for repeated requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from notifier.errors import IdempotencyInProgressError, IdempotencyKeyReusedError
from notifier.store import schema
from notifier.store.database import Database

WORKER_FORGOTTEN_SECONDS: Final = 60.0
IDEMPOTENCY_SECONDS: Final = 86_400
IN_FLIGHT_SECONDS: Final = 30


class Workers:
    """Which workers are alive."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, worker_id: str, *, now: float) -> None:
        """Note that a worker is alive; those that have been silent for a minute are forgotten."""
        async with self._database.pipeline() as pipe:
            pipe.zadd(schema.WORKERS(), {worker_id: now})
            pipe.zremrangebyscore(schema.WORKERS(), "-inf", now - WORKER_FORGOTTEN_SECONDS)
            await pipe.execute()

    async def registered(self) -> list[str]:
        """List the ids of the workers that have reported lately and not signed off."""
        async with self._database.translated():
            ids: list[str] = await self._database.redis.zrange(schema.WORKERS(), 0, -1)
        return ids

    async def sign_off(self, worker_id: str) -> None:
        """Note that a worker has ended."""
        async with self._database.translated():
            await self._database.redis.zrem(schema.WORKERS(), worker_id)

    async def reports(self) -> dict[str, float]:
        """Return the second of each worker's last report, by its id, the latest first."""
        async with self._database.translated():
            rows = await self._database.redis.zrange(schema.WORKERS(), 0, -1, withscores=True)
        return dict(reversed(rows))

    async def reported_within(self, seconds: float, *, now: float) -> bool:
        """Return whether any worker has reported lately."""
        async with self._database.translated():
            return bool(await self._database.redis.zcount(schema.WORKERS(), now - seconds, "+inf"))


class Telemetry:
    """What all processes have counted together, by series name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, counts: Mapping[str, float]) -> None:
        """Add to counters."""
        if not counts:
            return
        async with self._database.pipeline() as pipe:
            for series, count in counts.items():
                pipe.hincrbyfloat(schema.TELEMETRY(), series, count)
            await pipe.execute()

    async def read(self) -> dict[str, float]:
        """Return every counter."""
        async with self._database.translated():
            counters = await self._database.redis.hgetall(schema.TELEMETRY())
        return {series: float(count) for series, count in counters.items()}


class AdminKeys:
    """The admin key that the first start made, as a hash."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_admin(self, key_hash: str) -> bool:
        """Keep the hash if none is kept; returns whether it was."""
        async with self._database.translated():
            return bool(await self._database.redis.set(schema.ADMIN_KEY(), key_hash, nx=True))

    async def admin_hash(self) -> str | None:
        """Return the hash that is kept."""
        async with self._database.translated():
            key_hash: str | None = await self._database.redis.get(schema.ADMIN_KEY())
        return key_hash


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer that was given to a request with an idempotency key."""

    status: int
    body: bytes
    content_type: str


class Idempotency:
    """Answers kept for 24 h, so that a repeated request gets the same one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, key: str, fingerprint: str) -> StoredAnswer | None:
        """Take the key for a request, or give the answer that it got before.

        Raises:
            IdempotencyKeyReusedError: The key was used for another request.
            IdempotencyInProgressError: The first request with it is still running. Its mark ends by itself
                after :data:`IN_FLIGHT_SECONDS`, so that a process that dies leaves none behind.
        """
        claim = json.dumps({"fingerprint": fingerprint})
        async with self._database.translated():
            before = await self._database.redis.set(
                schema.IDEMPOTENCY(key), claim, nx=True, get=True, ex=IN_FLIGHT_SECONDS
            )
        if before is None:
            return None
        record = json.loads(before)
        if record["fingerprint"] != fingerprint:
            raise IdempotencyKeyReusedError(
                "Idempotency-Key: it was used for another request; take a new one."
            )
        if "status" not in record:
            raise IdempotencyInProgressError("Idempotency-Key: the first request with it is still running.")
        return StoredAnswer(record["status"], record["body"].encode(), record["content_type"])

    async def finish(self, key: str, fingerprint: str, answer: StoredAnswer) -> None:
        """Keep the answer."""
        record = {
            "fingerprint": fingerprint,
            "status": answer.status,
            "body": answer.body.decode(),
            "content_type": answer.content_type,
        }
        async with self._database.translated():
            await self._database.redis.set(
                schema.IDEMPOTENCY(key), json.dumps(record), ex=IDEMPOTENCY_SECONDS
            )

    async def abandon(self, key: str) -> None:
        """Let go of the key of a request that failed."""
        async with self._database.translated():
            await self._database.redis.delete(schema.IDEMPOTENCY(key))
