"""A server in cluster mode with one node per tag, so that a script cannot reach keys of another tag."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, cast

import redis
from redis.asyncio import RedisCluster
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from notifier.store import Store
from notifier.store.database import Database
from notifier.store.scripts import Script, ScriptCall
from tests.support.processes import RedisServer, free_port
from tests.support.wait import wait_until

RETENTION_DAYS: Final = 1


class ClusterDatabase(Database):
    """A database that sends each command to the node of its keys.

    Attributes:
        scripts_run: The names of the scripts run so far.
    """

    def __init__(self, cluster: RedisCluster) -> None:
        self.redis: Any = cluster
        self.scripts_run: set[str] = set()

    async def _load(self, scripts: Iterable[Script[object]]) -> None:
        for each in scripts:
            await self.redis.script_load(each.source)

    async def _pipeline(self, calls: Sequence[ScriptCall[object]]) -> list[Any]:
        self.scripts_run.update(call.script.name for call in calls)
        return [await self._evaluate(call) for call in calls]

    async def close(self) -> None:
        await self.redis.aclose()


@contextmanager
def running_cluster(folder: Path, *, tags: Sequence[str]) -> Iterator[list[RedisServer]]:
    """Run one node per tag."""
    options = {
        "cluster-enabled": "yes",
        "cluster-config-file": "nodes.conf",
    }
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                RedisServer(folder / str(number), options={**options, "cluster-port": str(free_port())})
            )
            for number, _ in enumerate(tags)
        ]
        clients = [
            stack.enter_context(redis.Redis.from_url(node.url, decode_responses=True)) for node in nodes
        ]
        slots = [key_slot(tag.encode()) for tag in tags]
        for client, slot in zip(clients[1:], slots[1:], strict=True):
            client.execute_command("CLUSTER", "ADDSLOTS", slot)
        others = (slot for slot in range(REDIS_CLUSTER_HASH_SLOTS) if slot not in slots[1:])
        clients[0].execute_command("CLUSTER", "ADDSLOTS", *others)
        for node in nodes[1:]:
            bus_port = clients[nodes.index(node)].config_get("cluster-port")["cluster-port"]
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus_port)
        yield nodes


async def settled(nodes: Iterable[RedisServer]) -> None:
    """Wait until each node knows that the others are there and that all slots are assigned."""
    for node in nodes:
        await _settled(node)


async def _settled(node: RedisServer) -> None:
    with redis.Redis.from_url(node.url, decode_responses=True) as client:

        def knows_all() -> bool:
            info = cast("dict[str, str]", client.execute_command("CLUSTER INFO"))
            return (info["cluster_state"], info["cluster_slots_assigned"]) == (
                "ok",
                str(REDIS_CLUSTER_HASH_SLOTS),
            )

        await wait_until(knows_all, message="the nodes of the cluster have met")


@asynccontextmanager
async def cluster_store(
    node: RedisServer, *, partitions: int
) -> AsyncIterator[tuple[Store, ClusterDatabase]]:
    """Open a store over a cluster."""
    client = RedisCluster(host="127.0.0.1", port=node.port, decode_responses=True)
    database = ClusterDatabase(client)
    try:
        yield Store(database, retention_days=RETENTION_DAYS, partitions=partitions), database
    finally:
        await database.close()
