"""What an operator should know of a server that can do the work, and may yet lose what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from notifier.store.server import ServerState

KEEPS_EVERYTHING: Final = "noeviction"


class Severity(StrEnum):
    """How much a concern matters."""

    FAULT = "fault"
    """Data is lost as things are."""
    RISK = "risk"
    """Data is lost if something else happens, or nothing can be done here; it may be meant so."""
    NOTE = "note"
    """Something could not be checked."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Something about the server that an operator should know, by a stable name, and what to do."""

    name: str
    severity: Severity
    text: str
    remedy: str


def concerns_of(state: ServerState) -> list[Concern]:
    """Return what an operator should know of a server, the gravest first."""
    policy = state.memory.policy if state.memory else ""
    return [
        replace(concern, text=concern.text.format(policy=policy))
        for holds, concern in CONCERNS
        if holds(state)
    ]


def _evicts(state: ServerState) -> bool:
    return state.memory is not None and state.memory.policy != KEEPS_EVERYTHING


def _cannot_save(state: ServerState) -> bool:
    return state.persistence is not None and not state.persistence.writes_succeed


def _has_no_aof(state: ServerState) -> bool:
    return state.persistence is not None and not state.persistence.append_only


def _is_replica(state: ServerState) -> bool:
    return state.is_replica


def _is_not_known(state: ServerState) -> bool:
    return state.memory is None or state.persistence is None


CONCERNS: Final[tuple[tuple[Callable[[ServerState], bool], Concern], ...]] = (
    (
        _evicts,
        Concern(
            "redis.evicts",
            Severity.FAULT,
            "maxmemory-policy is {policy}: events and deliveries vanish when memory is short",
            "set maxmemory-policy to noeviction",
        ),
    ),
    (
        _cannot_save,
        Concern(
            "redis.cannot_save",
            Severity.FAULT,
            "its last write to the disk failed: what came since is lost when it ends",
            "its own log has the reason; often the disk is full",
        ),
    ),
    (
        _is_replica,
        Concern(
            "redis.is_replica",
            Severity.RISK,
            "it is a replica and takes no writes: nothing can be observed or delivered",
            "name the primary in NOTIFIER_REDIS_URL, or the Sentinels (redis+sentinel://)",
        ),
    ),
    (
        _has_no_aof,
        Concern(
            "redis.without_aof",
            Severity.RISK,
            "appendonly is no: what came after its last snapshot is lost when it ends",
            "set appendonly to yes, and appendfsync to everysec",
        ),
    ),
    (
        _is_not_known,
        Concern(
            "redis.not_known",
            Severity.NOTE,
            "this user may not call INFO: not known are memory, eviction and persistence",
            "allow INFO to have them checked (docs/operating.md)",
        ),
    ),
)
"""When there is which concern."""
