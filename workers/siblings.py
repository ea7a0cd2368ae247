"""Workers of the same machine that died: what they held is due again at once, not when their leases end.

A worker's id names its machine and its process, so another one on that machine can see that it is dead.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Final

import structlog

from workers.context import Worker

PID_NAMESPACE: Final = Path("/proc/self/ns/pid")
ZOMBIE: Final = "Z"

log = structlog.get_logger(__name__)


def new_worker_id() -> str:
    """Return an id of the form ``<machine>:<process id>:<random>`` for a worker of this process."""
    return f"{_machine()}:{os.getpid()}:{secrets.token_hex(3)}"


async def release_dead(worker: Worker) -> None:
    """Make due what workers held that have died on this machine without signing off."""
    store = worker.runtime.store
    for worker_id in await store.workers.registered():
        if worker_id != worker.id and _has_died(worker_id):
            released = await store.queue.release(worker_id)
            await store.workers.sign_off(worker_id)
            log.warning("worker.found_dead", worker_id=worker_id, released=released)


def _machine() -> str:
    """Return the host's name and, where there are such, the namespace in which its process ids count."""
    namespace = PID_NAMESPACE.stat().st_ino if PID_NAMESPACE.exists() else 0
    return f"{socket.gethostname()}/{namespace}"


def _has_died(worker_id: str) -> bool:
    machine, _, rest = worker_id.partition(":")
    process_id = rest.partition(":")[0]
    return machine == _machine() and process_id.isdecimal() and not _is_alive(int(process_id))


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:  # without /proc, or it ended at this moment
        return True
    return stat.rpartition(")")[2].split()[0] != ZOMBIE
