"""Every key in Redis as one row: its name, its type, whether it expires, and whose it is.

All else that knows a key follows from the rows: the names that are passed to Redis, the functions by which
scripts name keys (``scripts.py``), what the doctor examines, and the table in ``docs/keys.md``.

A key belongs to one of two domains (``docs/architecture.md``, "Two domains"), which shows in its hash tag:
``sn:{d}:…`` is the deciding side, ``sn:{p<partition>}:…`` the delivering side, one tag for each partition.
Scores of sorted sets are epoch milliseconds where they are times, and serial numbers where they are an order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple, NewType

Key = NewType("Key", str)
"""The full name of a key; only rows make them."""

VERSION: Final = 2
"""Of names and layout. Version 1 had no tags and no record of its version."""

PREFIX: Final = "sn:"
PLACEHOLDER: Final = re.compile(r"<(\w+)(:any)?>")


class KeyType(StrEnum):
    """A type of Redis, by the word that its ``TYPE`` command answers."""

    STRING = "string"
    HASH = "hash"
    SET = "set"
    ZSET = "zset"


class Domain(StrEnum):
    """Which side of the service a key belongs to."""

    DECIDING = "deciding"
    DELIVERING = "delivering"


class Life(StrEnum):
    """Whether a key expires by itself."""

    PERMANENT = "permanent"  # deleted or trimmed by us, and bounded by what it counts
    EXPIRES = "expires"
    WHILE_USED = "while used"  # permanent in use, and expires once it is not


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One kind of key.

    Attributes:
        form: Its name behind the tag; ``<name>`` is a part, ``<name:any>`` one that may hold colons.
        holds: What is in it.
    """

    form: str
    type: KeyType
    holds: str
    life: Life = Life.PERMANENT
    domain: Domain = Domain.DECIDING
    parts: tuple[str, ...] = field(init=False)
    _template: str = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(name for name, _ in PLACEHOLDER.findall(self.form))
        tag = "{{d}}"
        if self.domain is Domain.DELIVERING:
            names, tag = ("partition", *names), "{{p{}}}"
        object.__setattr__(self, "parts", names)
        object.__setattr__(self, "_template", f"{PREFIX}{tag}:{PLACEHOLDER.sub('{}', self.form)}")

    def __call__(self, *parts: str | int) -> Key:
        """Return a key's name; of the delivering side, the partition is the first part.

        Raises:
            TypeError: That is another number of parts than the form has.
        """
        if len(parts) != len(self.parts):
            raise TypeError(f"{self.form} takes {', '.join(self.parts) or 'nothing'}; {len(parts)} given")
        return Key(self._template.format(*parts))

    @property
    def shown(self) -> str:
        """The name with its placeholders, for people."""
        return self(*(f"<{name}>" for name in self.parts))

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the names of this row match, with a group for each part."""
        groups = [r"(\d+)"] if self.domain is Domain.DELIVERING else []
        groups += ["(.+)" if free else "([^:]+)" for _, free in PLACEHOLDER.findall(self.form)]
        escaped = re.escape(self._template.format(*("\0",) * len(groups)))
        return re.compile("".join(_interleaved(escaped.split(re.escape("\0")), groups)))


def _interleaved(texts: list[str], groups: list[str]) -> list[str]:
    return [each for pair in zip(texts, [*groups, ""], strict=True) for each in pair]


def _delivering(form: str, kind: KeyType, holds: str, life: Life = Life.PERMANENT) -> Row:
    return Row(form, kind, holds, life, Domain.DELIVERING)


_STRING, _HASH, _SET, _ZSET = KeyType.STRING, KeyType.HASH, KeyType.SET, KeyType.ZSET
_EXPIRES, _WHILE_USED = Life.EXPIRES, Life.WHILE_USED

# The database as a whole
SCHEMA: Final = Row("schema", _STRING, "the version of names and layout")
SERIAL: Final = Row("serial", _STRING, "the last serial number handed out")
PARTITIONS: Final = Row("partitions", _STRING, "over how many partitions the endpoints are spread")

# Watches
WATCHES: Final = Row("watches", _ZSET, "watch id -> serial")
HOST_WATCHES: Final = Row("host-watches", _SET, "ids of the watches that follow people as hosts")
WATCH: Final = Row("watch:<watch>", _STRING, "a watch as JSON")
WATCH_SPACES: Final = Row("watch:<watch>:spaces", _ZSET, "Space id -> serial: the Spaces a watch has matched")
WATCH_BY: Final = Row("watch-by:<kind>", _HASH, "identity -> watch id, so that nothing is watched twice")

# Spaces
SPACES: Final = Row("spaces", _ZSET, "Space id -> serial of first sight")
SPACES_IN: Final = Row("spaces:<phase>", _ZSET, "Space id -> serial: the Spaces in a phase")
SPACE: Final = Row("space:<space>", _HASH, "doc, version, phase", _WHILE_USED)
SPACE_WATCHES: Final = Row("space:<space>:watches", _SET, "ids of the watches that a Space matches")
SPACE_EVENTS: Final = Row("space:<space>:events", _ZSET, "event id -> sequence", _EXPIRES)
SPACE_MENTIONS: Final = Row(
    "space:<space>:mentions", _SET, "ids of the events that list a Space among others", _EXPIRES
)
TIMERS: Final = Row("timers:<kind>", _ZSET, "Space id -> when its timer of this kind is due")

# The event log and the outbox
EVENTS: Final = Row("events", _ZSET, "event id -> serial: the order of the log")
EVENTS_OF_TYPE: Final = Row("events:type:<type>", _ZSET, "event id -> serial")
EVENT: Final = Row("event:<event>", _HASH, "type, body, routing, serial, space, sequence, at", _EXPIRES)
OUTBOX: Final = Row("outbox", _ZSET, "event id -> serial: committed and not yet dispatched")

# Questions to X
POLLS: Final = Row(
    "polls:<call>:<part>", _ZSET, "subject -> when to ask X about it (urgent, patient, leased)"
)
STANDINGS: Final = Row("standing:<call>", _HASH, "subject -> what X has refused about it, as JSON")
ANSWERED: Final = Row("answered", _HASH, "call -> second of its last answer while a subject had a standing")
BUCKETS: Final = Row("buckets", _STRING, "X's rate buckets as JSON", _EXPIRES)
REFUSALS: Final = Row("refusals", _STRING, "what X refuses beside the subjects, as JSON", _EXPIRES)
HEALTH: Final = Row("health", _STRING, "which calls to X fail and why, as JSON; only while one does")
CYCLE_POLLED: Final = Row("cycle:polled", _ZSET, "Space id -> when a living Space was polled", _EXPIRES)
CYCLE_MISSING: Final = Row("cycle:missing", _ZSET, "Space id -> since when it is not found", _EXPIRES)
HELD: Final = Row("held", _ZSET, "<thousandths of a dollar>:<id> -> until when it is held", _EXPIRES)
BILLED: Final = Row(
    "billed:<day>", _SET, "what X billed that day: s:<Space>, p: with people, u:<user>", _EXPIRES
)
SPENT: Final = Row("spent:<day>", _HASH, "spaces:<hour>, users:<hour> -> how many X billed", _EXPIRES)

# Endpoints as their owners see them
ENDPOINTS: Final = Row("endpoints", _ZSET, "endpoint id -> serial")
ENDPOINT: Final = Row("endpoint:<endpoint>", _STRING, "an endpoint as JSON")
ENDPOINTS_GENERATION: Final = Row("endpoints:generation", _STRING, "grows with every change of an endpoint")
ENDPOINTS_CHANGED: Final = Row(
    "endpoints:changed", _ZSET, "endpoint id -> serial of a change that its partition has yet to take over"
)
ENDPOINTS_REPAIRED: Final = Row(
    "endpoints:repaired", _SET, "ids of those among them whose record of failures begins again"
)
CHALLENGES: Final = Row("challenges", _ZSET, "endpoint id -> when its next challenge is due")
RECOVERY: Final = Row(
    "recovery:<recovery>", _HASH, "what an endpoint is sent again, and the progress", _EXPIRES
)
RECOVERIES: Final = Row("recoveries:<endpoint>", _ZSET, "recovery id -> serial", _EXPIRES)
RECOVERING: Final = Row("recovering", _ZSET, "id of a recovery that runs -> when to go on with it")

# Processes
WORKERS: Final = Row("workers", _ZSET, "worker id -> second of its last report")
TELEMETRY: Final = Row("telemetry", _HASH, "series -> value: what all processes have counted together")
ADMIN_KEY: Final = Row("admin-key", _STRING, "hash of the admin key that the first start made")
IDEMPOTENCY: Final = Row(
    "idempotency:<key:any>", _STRING, "fingerprint and the answer given, as JSON", _EXPIRES
)
WAKEUPS: Final = Row("wakeups", _ZSET, "job that some worker is to run now -> since when")
JOBS: Final = Row("jobs", _ZSET, "the queue of arq, whose other keys begin with arq: and expire")
JOBS_HEALTH: Final = Row("jobs:health-check", _STRING, "a note of arq's about itself", _WHILE_USED)

# A partition of the delivering side
READY: Final = _delivering("ready", _ZSET, "endpoint id -> when there is next something to do for it")
PARTITION_WAKEUP: Final = _delivering("wakeup", _STRING, "a wakeup for the partition is on its way", _EXPIRES)
PARTITION_GENERATION: Final = _delivering(
    "generation", _STRING, "grows with every change of an endpoint here, and every erasure"
)
LEASES: Final = _delivering(
    "leases:<worker:any>", _HASH, "<endpoint id> <event id> -> end of a lease that a worker holds", _EXPIRES
)
STATE: Final = _delivering(
    "state:<endpoint>", _HASH, "how an endpoint is doing, its limits, and the pace that was learned"
)
DUE: Final = _delivering("due:<endpoint>", _ZSET, "event id -> when its next attempt is due")
LEASED: Final = _delivering("leased:<endpoint>", _ZSET, "event id -> when the lease of its attempt ends")
LINES: Final = _delivering("lines:<endpoint>", _HASH, "event id -> Space id, of what waits in a line")
LINE: Final = _delivering("line:<endpoint>:<space>", _ZSET, "event id -> sequence: one Space, in order")
HISTORY: Final = _delivering(
    "history:<endpoint>",
    _ZSET,
    "event id -> serial: every event that the endpoint was ever to get",
    _WHILE_USED,
)
RECIPIENTS: Final = _delivering(
    "recipients:<event>", _SET, "ids of the endpoints here that the event goes to", _EXPIRES
)
MEMORIES: Final = _delivering(
    "memories:<endpoint>", _HASH, "Space id -> what the kind of an endpoint remembers of it", _EXPIRES
)
MEMORY_ENDS: Final = _delivering(
    "memory-ends:<endpoint>", _ZSET, "Space id -> when what is remembered of it is erased", _EXPIRES
)
DELIVERY: Final = _delivering(
    "delivery:<delivery>", _HASH, "a delivery that was attempted, with its attempts as JSON", _EXPIRES
)
RECOVERED: Final = _delivering(
    "recovered:<recovery>", _HASH, "position -> how many deliveries a recovery made due from there", _EXPIRES
)

ROWS: Final[dict[str, Row]] = {
    name: value for name, value in list(globals().items()) if isinstance(value, Row)
}
"""Every row by its name."""


class Place(NamedTuple):
    """What a key is: its row and the parts of its name."""

    row: Row
    parts: tuple[str, ...]

    def part(self, name: str) -> str:
        """Return one part by its name."""
        return self.parts[self.row.parts.index(name)]


@cache
def _patterns() -> tuple[tuple[Row, re.Pattern[str]], ...]:
    return tuple((row, row.pattern) for row in ROWS.values())


def place_of(key: str) -> Place | None:
    """Return what a key is by its name; None for a stranger."""
    for row, pattern in _patterns():
        if match := pattern.fullmatch(key):
            return Place(row, match.groups())
    return None
