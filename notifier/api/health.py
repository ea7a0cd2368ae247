"""Operations without a key: liveness, readiness and metrics."""

import asyncio
from typing import Final, Literal

from pydantic import BaseModel

from notifier.api.operations import Call, operation
from notifier.errors import UnavailableError
from notifier.http.access import PUBLIC
from notifier.http.reply import Reply
from notifier.store import PREFIX

WORKER_SILENCE_SECONDS: Final = 15.0
STORE_PATIENCE_SECONDS: Final = 4.0
METRICS_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class StatusView(BaseModel):
    """All is well."""

    status: Literal["ok"]


async def get_health(_call: Call[None, None]) -> Reply[StatusView]:
    """Say whether the process is alive."""
    return Reply.of(StatusView(status="ok"))


async def get_readiness(call: Call[None, None]) -> Reply[StatusView]:
    """Say whether Redis and a worker answer.

    A 503 says which of them does not.
    """
    store = call.runtime.store
    try:
        async with asyncio.timeout(STORE_PATIENCE_SECONDS):
            await store.ping()
            reported = await store.workers.reported_within(WORKER_SILENCE_SECONDS, now=call.runtime.clock())
    except UnavailableError as error:
        raise UnavailableError(f"redis: {error.message.removeprefix(PREFIX)}") from None
    except TimeoutError:
        raise UnavailableError(f"redis: no answer within {STORE_PATIENCE_SECONDS:g} s") from None
    if not reported:
        raise UnavailableError(f"no worker reported within {WORKER_SILENCE_SECONDS:g} s")
    return Reply.of(StatusView(status="ok"))


async def get_metrics(call: Call[None, None]) -> Reply[bytes]:
    """Return the metrics for Prometheus."""
    return Reply.content(await call.runtime.metrics_text(), METRICS_TEXT)


OPERATIONS: Final = (
    operation("GET", "/healthz", get_health, PUBLIC),
    operation("GET", "/readyz", get_readiness, PUBLIC),
    operation("GET", "/metrics", get_metrics, PUBLIC),
)
