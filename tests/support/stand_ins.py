"""Servers that may be found at Redis's address without being a working Redis."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

Visitor: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answers: TypeAlias = Mapping[str, bytes]


@asynccontextmanager
async def listening(visitor: Visitor, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run a server on loopback and yield its port; its connections end with it."""
    visits: set[asyncio.Task[None]] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await visitor(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(visit(reader, writer))
        visits.add(task)
        task.add_done_callback(visits.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in visits:
            task.cancel()
        if visits:
            await asyncio.wait(visits)


async def closes(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept and close."""


async def stays_silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept and stay silent."""
    await asyncio.Event().wait()


async def speaks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer any request as a web server does."""
    await reader.readline()
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()


def answering(answers: Answers) -> Visitor:
    """Answer commands, found by their first words, with the given bytes; others are unknown."""

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            command = " ".join(await _command(reader)).upper()
            found = (answer for words, answer in answers.items() if command.startswith(words))
            writer.write(next(found, b"-ERR unknown command\r\n"))
            await writer.drain()

    return visit


def forwarding(port: int) -> Visitor:
    """Forward everything to a server on loopback, like a TLS terminator in front of it."""

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(_copy(reader, inner_writer)),
                    asyncio.create_task(_copy(inner_reader, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            inner_writer.close()

    return visit


def listed(*values: str | int | Sequence[str | int]) -> bytes:
    """Return a RESP array of strings, numbers and nested arrays."""
    parts = [f"*{len(values)}\r\n".encode()]
    for value in values:
        if isinstance(value, str):
            parts.append(f"${len(value.encode())}\r\n{value}\r\n".encode())
        elif isinstance(value, int):
            parts.append(f":{value}\r\n".encode())
        else:
            parts.append(listed(*value))
    return b"".join(parts)


def sentinel_of(service: str, port: int) -> Visitor:
    """Answer as a Sentinel that knows one service, whose primary is on loopback."""
    state = {
        "name": service,
        "ip": "127.0.0.1",
        "port": str(port),
        "flags": "master",
        "num-other-sentinels": "0",
    }
    return answering({"SENTINEL MASTERS": listed([part for pair in state.items() for part in pair])})


async def _command(reader: asyncio.StreamReader) -> list[str]:
    count = int((await reader.readuntil(b"\r\n"))[1:])
    words = []
    for _ in range(count):
        length = int((await reader.readuntil(b"\r\n"))[1:])
        words.append((await reader.readexactly(length + 2))[:-2].decode())
    return words


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
