"""Name lookups on threads of their own, with a limit of their own.

The event loop's shared threads are few: a handful of endpoints with slow name servers would hold up the
lookups of all the others. And a lookup that hangs must end before the request's own time-out does, or a dead
resolver of ours would be held against the receivers.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

_THREADS = 32


class ThreadResolver(AbstractResolver):
    """Resolves with ``getaddrinfo`` and gives up after ``timeout_seconds``."""

    def __init__(self, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look ``host`` up.

        Raises:
            socket.gaierror: There is no such name, or (``EAI_AGAIN``) no resolver answered in time.
            UnicodeError: A label of the name is empty or too long.
        """
        lookup = partial(
            socket.getaddrinfo,
            host,
            port,
            type=socket.SOCK_STREAM,
            family=family,
            flags=socket.AI_ADDRCONFIG,
        )
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await asyncio.get_running_loop().run_in_executor(self._executor, lookup)
        except TimeoutError as error:
            raise socket.gaierror(
                socket.EAI_AGAIN, f"no answer from the resolver within {self._timeout_seconds:g} s"
            ) from error
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Let go of the threads; lookups that have not begun are dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)
