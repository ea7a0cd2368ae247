"""A primary, a replica and three Sentinels, all on loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import redis

from tests.support.processes import STOP_SECONDS, RedisServer, free_port, server_binary, wait_for_answer

SERVICE: Final = "notifier"
SENTINELS: Final = 3
QUORUM: Final = 2
DOWN_AFTER_MS: Final = 500


class SentinelSetup:
    """Two servers managed by Sentinel; ``url`` leads to the current primary."""

    def __init__(self, servers: tuple[RedisServer, RedisServer], ports: list[int]) -> None:
        self._servers = servers
        self._ports = ports
        self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/{SERVICE}/0"

    @property
    def primary(self) -> RedisServer:
        """The current primary according to the Sentinels."""
        with redis.Redis(port=self._ports[0], decode_responses=True) as sentinel:
            _, port = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self._servers if server.port == int(port))

    def has_replaced(self, old: RedisServer) -> bool:
        """Return whether another server is the primary now."""
        return self.primary is not old

    def is_replicating(self) -> bool:
        """Return whether the replica is online and all Sentinels agree."""
        with redis.Redis(port=self.primary.port, decode_responses=True) as primary:
            replication = primary.info("replication")
        if replication.get("slave0", {}).get("state") != "online":
            return False
        for port in self._ports:
            with redis.Redis(port=port, decode_responses=True) as sentinel:
                seen = sentinel.execute_command("SENTINEL", "CKQUORUM", SERVICE)
                others = sentinel.execute_command("SENTINEL", "SENTINELS", SERVICE)
            if not str(seen).startswith("OK") or len(others) != SENTINELS - 1:
                return False
        return True


@contextmanager
def sentinel_setup(directory: Path) -> Iterator[SentinelSetup]:
    """Run the five processes."""
    first = RedisServer(directory / "first")
    second = RedisServer(directory / "second", options={"replicaof": f"127.0.0.1 {first.port}"})
    with ExitStack() as stack:
        stack.enter_context(first)
        stack.enter_context(second)
        ports = [stack.enter_context(_sentinel(directory / f"sentinel{n}", first)) for n in range(SENTINELS)]
        yield SentinelSetup((first, second), ports)


@contextmanager
def _sentinel(directory: Path, primary: RedisServer) -> Iterator[int]:
    port = free_port()
    directory.mkdir(parents=True)
    configuration = directory / "sentinel.conf"
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"dir {directory}",
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {QUORUM}",
        f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
        f"sentinel failover-timeout {SERVICE} 3000",
    ]
    configuration.write_text("\n".join(lines) + "\n")
    with (directory / "sentinel.log").open("ab") as log:
        process = subprocess.Popen([server_binary(), configuration, "--sentinel"], stdout=log, stderr=log)
    try:
        wait_for_answer(process, port, directory / "sentinel.log")
        yield port
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
