"""What the pipeline is compared with: the design that a queue library suggests, one arq job per delivery.

A job reads the event and the endpoint, signs, posts, and records the result. It has the same loop,
serializer, concurrency and polling as our workers, and logs one line per attempt as they do.

``python -m benchmarks.naive REDIS_URL`` runs the worker.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import structlog
import uvloop
from arq.worker import create_worker

from benchmarks.workload import CONCURRENCY, Subscriber
from notifier.core.delivery.request import build_request
from notifier.core.delivery.signing import parse_signing_key
from notifier.core.events.event import encode
from notifier.store import Commit, connect
from notifier.store.job_queue import from_job, job_queue, to_job
from notifier.telemetry import configure_logging

QUEUE: Final = "naive:jobs"
RECORD_SECONDS: Final = 30 * 86_400
EXPIRES_SECONDS: Final = 3600
POLL_SECONDS: Final = 0.02
ENQUEUED_AT_ONCE: Final = 64

log = structlog.get_logger(__name__)


async def enqueue(redis_url: str, made: Sequence[Commit], receivers: Sequence[Subscriber]) -> None:
    """Store events and endpoints, and enqueue a job for each delivery."""
    redis = connect(redis_url, decode=False)
    jobs = job_queue(redis)
    events = [event for commit in made for event in commit.events]
    async with redis.pipeline(transaction=False) as pipe:
        for event in events:
            pipe.set(f"naive:event:{event.id}", encode(event))
        for each in receivers:
            document = json.dumps({"url": each.endpoint.url, "secret": each.secret})
            pipe.set(f"naive:endpoint:{each.endpoint.id}", document)
        await pipe.execute()
    deliveries = [(event.id, each.endpoint.id) for event in events for each in receivers]
    for start in range(0, len(deliveries), ENQUEUED_AT_ONCE):
        await asyncio.gather(
            *(
                jobs.enqueue_job("deliver_one", *each, _queue_name=QUEUE, _expires=EXPIRES_SECONDS)
                for each in deliveries[start : start + ENQUEUED_AT_ONCE]
            )
        )
    await redis.aclose(close_connection_pool=True)


async def deliver_one(ctx: dict[str, Any], event_id: str, endpoint_id: str) -> None:
    """Job: make one delivery."""
    redis, session = ctx["redis"], ctx["session"]
    body, document = await redis.mget(f"naive:event:{event_id}", f"naive:endpoint:{endpoint_id}")
    endpoint = json.loads(document)
    started_at = time.time()
    request = build_request(
        url=endpoint["url"],
        event_id=event_id,
        body=body,
        content_type="application/json",
        keys=[parse_signing_key(endpoint["secret"])],
        timestamp=int(started_at),
    )
    async with session.post(request.url, data=request.body, headers=request.headers) as answer:
        status, text = answer.status, await answer.text()
    took = time.time() - started_at
    record = f"naive:delivery:{event_id}:{endpoint_id}"
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hset(record, mapping={"status": status, "body": text, "at": started_at, "seconds": took})
        pipe.expire(record, RECORD_SECONDS)
        await pipe.execute()
    log.info(
        "delivery.attempted",
        event_id=event_id,
        endpoint_id=endpoint_id,
        status=status,
        ms=round(took * 1000, 1),
    )


async def _start(ctx: dict[str, Any]) -> None:
    ctx["session"] = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())


async def _stop(ctx: dict[str, Any]) -> None:
    await ctx["session"].close()


def run(redis_url: str) -> None:
    """Run the worker until it is stopped."""
    configure_logging("json", "INFO")
    asyncio.set_event_loop(uvloop.new_event_loop())
    worker = create_worker(
        {
            "functions": [deliver_one],
            "queue_name": QUEUE,
            "redis_pool": job_queue(connect(redis_url, decode=False)),
            "job_serializer": to_job,
            "job_deserializer": from_job,
            "on_startup": _start,
            "on_shutdown": _stop,
            "max_jobs": CONCURRENCY,
            "poll_delay": POLL_SECONDS,
            "keep_result": 0,
            "log_results": False,
        }
    )
    worker.run()


if __name__ == "__main__":
    run(sys.argv[1])
