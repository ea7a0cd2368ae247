"""Waiting for something to become true, with a deadline instead of a hopeful sleep."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


async def wait_until(
    predicate: Callable[[], object],
    *,
    timeout: float = 30.0,  # noqa: ASYNC109  the deadline of a poll: the predicate itself is never cut short
    interval: float = 0.01,
    message: str | Callable[[], str] = "the condition did not become true",
) -> Any:
    """Poll ``predicate`` until it is truthy and return what it gave.

    Args:
        predicate: A plain or async function without arguments.
        timeout: Seconds until the wait fails.
        interval: Seconds between two polls.
        message: What the failure says; a function is asked at the moment of the failure.

    Raises:
        AssertionError: The deadline passed first.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        result = predicate()
        value = await result if inspect.isawaitable(result) else result
        if value:
            return value
        if asyncio.get_running_loop().time() >= deadline:
            text = message if isinstance(message, str) else message()
            raise AssertionError(f"after {timeout} s: {text}")
        await asyncio.sleep(interval)
