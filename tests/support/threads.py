"""An event loop beside a test that has none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def in_a_thread(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Hold an async context manager in an event loop of another thread."""
    entered: Future[tuple[T, Callable[[], object]]] = Future()

    async def hold() -> None:
        loop, leaving = asyncio.get_running_loop(), asyncio.Event()
        async with manager as value:
            entered.set_result((value, lambda: loop.call_soon_threadsafe(leaving.set)))
            await leaving.wait()

    def failed(held: Future[None]) -> None:
        error = held.exception()
        if error is not None and not entered.done():
            entered.set_exception(error)

    with ThreadPoolExecutor(1) as thread:
        held = thread.submit(asyncio.run, hold())
        held.add_done_callback(failed)
        value, leave = entered.result()
        try:
            yield value
        finally:
            leave()
            held.result()
