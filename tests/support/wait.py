"""Waiting for a condition with a deadline, instead of sleeping."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


async def wait_until(
    predicate: Callable[[], object],
    *,
    timeout: float = 30.0,  # noqa: ASYNC109  a deadline for polling; the predicate itself is never cancelled
    interval: float = 0.01,
    message: str | Callable[[], str] = "the condition did not become true",
) -> Any:
    """Poll ``predicate`` until it is truthy, and return its value.

    Args:
        predicate: A plain or async function without arguments.
        timeout: Seconds until the wait fails.
        interval: Seconds between two polls.
        message: The text of the failure; a function is called when it fails.

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
