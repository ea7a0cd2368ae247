"""Listening sockets, serving applications, and running until a signal."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Final

import uvloop
from aiohttp import web

from notifier.errors import ConfigError

DRAIN_SECONDS: Final = 1.5
"""How long calls in flight may take when a server stops."""


def bind(host: str, port: int, *, names: str) -> socket.socket:
    """Open a listening socket; port 0 takes a free one.

    Args:
        host: A name, or an IPv4 or IPv6 address.
        port: 0 to 65535.
        names: The settings or options that ``host`` and ``port`` came from, for the message.

    Raises:
        ConfigError: The address is in use, or is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or "").partition(" (while")[0]  # the rest repeats the address
        raise ConfigError(f"{names}: cannot listen on {host}, port {port}: {reason}") from None


def port_of(listening: socket.socket) -> int:
    """Return the port of a listening socket."""
    port: int = listening.getsockname()[1]
    return port


@asynccontextmanager
async def served(
    app: web.Application, listening: socket.socket, *, runner_of: type[web.AppRunner] = web.AppRunner
) -> AsyncIterator[None]:
    """Serve an application; at the end, calls in flight may finish."""
    runner = runner_of(app, access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()
        listening.close()


async def for_ever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


def run_until_signal(work: Coroutine[object, object, None]) -> None:
    """Run ``work``; the first SIGTERM or SIGINT cancels it, further ones do not interrupt its clean-up."""
    uvloop.run(_until_signal(work))


async def _until_signal(work: Coroutine[object, object, None]) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.create_task(work)
    signalled = asyncio.Event()

    def stop() -> None:
        if not signalled.is_set():
            signalled.set()
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not signalled.is_set():
            raise
