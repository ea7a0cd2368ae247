"""The server itself: what it is, how it keeps what it is given, and whether it can do the work.

``HELLO`` is open to every user and says which server answers. How it keeps things is in ``INFO``, which a
user need not be allowed to call; then it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import ExecAbortError, NoPermissionError

from notifier.errors import UnusableServerError
from notifier.store.database import Database
from notifier.store.faults import fault_of
from notifier.store.needs import COMMANDS, KEYS, OWN_KEY, TRANSACTION_COMMANDS

NEEDED_VERSION: Final = (7, 0)
SECTIONS: Final = ("memory", "persistence")
OK: Final = "ok"
REFUSALS: Final = (NoPermissionError, ExecAbortError)
"""How a command is refused; an ``EXEC`` with nothing before it is aborted for no other reason."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the server uses and may use, in bytes; ``limit`` is None where there is none."""

    used: int
    limit: int | None
    policy: str


@dataclass(frozen=True, slots=True)
class Persistence:
    """How data reaches the disk: the append-only file, snapshots, and whether the last writes succeeded."""

    append_only: bool
    writes_succeed: bool
    saved_at: float


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server says of itself; ``memory`` and ``persistence`` are None where it does not say."""

    name: str
    version: str
    mode: str
    is_replica: bool
    memory: Memory | None = None
    persistence: Persistence | None = None


class Server:
    """The server behind a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> ServerState:
        """Return what the server says of itself.

        Raises:
            UnavailableError: It does not serve.
        """
        hello, *sections = await self._database.converse([("HELLO",), *(("INFO", each) for each in SECTIONS)])
        if isinstance(hello, Exception):
            raise fault_of(hello) from hello
        return _state(_hello(hello), _info(sections))

    async def check(self) -> None:
        """Make sure that this server can do the work.

        Raises:
            UnusableServerError: It is too old, is no plain server, or its user may not run what is needed.
            UnavailableError: It does not serve.
        """
        refuse_unusable(await self.read())
        refused = await self.refused_commands()
        if refused:
            raise UnusableServerError(
                f"the user may not run {', '.join(refused)} on the keys {' and '.join(KEYS)}; "
                "docs/operating.md has the line that allows what is needed"
            )

    async def refused_commands(self) -> list[str]:
        """Return the commands that this user may not run, or not on our keys.

        Commands are put into a transaction, where the server checks each as it is queued, and the transaction
        is discarded: nothing is run. So it comes first whether there may be transactions.
        """
        watch, unwatch, multi, execute, discard = ((name,) for name in TRANSACTION_COMMANDS)
        first = [(*watch, OWN_KEY), unwatch, multi, execute, multi, discard]
        refused = await self._refused({" ".join(each[:1]): each for each in first}, first)
        if refused:
            return refused
        queued = {name.replace("|", " "): (*name.split("|"), *given) for name, given in COMMANDS.items()}
        return await self._refused(queued, [multi, *queued.values(), discard])

    async def _refused(
        self, names: Mapping[str, Sequence[str]], commands: Sequence[Sequence[str]]
    ) -> list[str]:
        answers = await self._database.converse(commands)
        refused = [
            command for command, answer in zip(commands, answers, strict=True) if isinstance(answer, REFUSALS)
        ]
        return [name for name, command in names.items() if command in refused]


def refuse_unusable(state: ServerState) -> None:
    """Refuse a server on which the scripts do not run.

    Raises:
        UnusableServerError: It is too old, a Sentinel or a node of a cluster.
    """
    if state.mode == "sentinel":
        raise UnusableServerError("a Sentinel is there; its URL is redis+sentinel://host:port/name")
    if state.mode == "cluster":
        raise UnusableServerError("a node of Redis Cluster is there; the product needs a server of its own")
    numbers = tuple(int(part) for part in state.version.split(".")[:2] if part.isdecimal())
    if numbers < NEEDED_VERSION:
        needed = ".".join(map(str, NEEDED_VERSION))
        raise UnusableServerError(
            f"{state.name} {state.version} is too old; Redis {needed} or newer, or Valkey, is needed"
        )


def _hello(answer: Sequence[Any]) -> dict[str, Any]:
    """Return the alternating names and values of HELLO as a dictionary."""
    return dict(zip(answer[::2], answer[1::2], strict=True))


def _info(sections: Sequence[Any]) -> dict[str, str]:
    """Return all lines of INFO by their names; a section that was refused is missing."""
    lines = (line for text in sections if isinstance(text, str) for line in text.splitlines())
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def _state(hello: Mapping[str, Any], info: Mapping[str, str]) -> ServerState:
    return ServerState(
        name=str(hello.get("server", "redis")),
        version=str(hello.get("version", "")),
        mode=str(hello.get("mode", "standalone")),
        is_replica=hello.get("role") == "replica",
        memory=_memory(info) if "maxmemory_policy" in info else None,
        persistence=_persistence(info) if "aof_enabled" in info else None,
    )


def _memory(info: Mapping[str, str]) -> Memory:
    return Memory(
        used=int(info["used_memory"]), limit=int(info["maxmemory"]) or None, policy=info["maxmemory_policy"]
    )


def _persistence(info: Mapping[str, str]) -> Persistence:
    append_only = info["aof_enabled"] == "1"
    outcomes = [info.get("rdb_last_bgsave_status", OK)]
    if append_only:
        outcomes += [info.get("aof_last_write_status", OK), info.get("aof_last_bgrewrite_status", OK)]
    return Persistence(
        append_only=append_only,
        writes_succeed=all(outcome == OK for outcome in outcomes),
        saved_at=float(info.get("rdb_last_save_time", 0)),
    )
