"""Every key in Redis, in one place: its name, its type and whether it expires.

``TTL`` in a comment means that the key expires by itself. A key without it is permanent by design, and its
form stands in :data:`PERMANENT`, which the tests hold every database against. Scores of sorted sets are
milliseconds where they are times, and serial numbers, handed out by ``sn:serial``, where they are an order.
"""

from __future__ import annotations

from typing import Final

SERIAL: Final = "sn:serial"  # string: the last serial number handed out
PARTITIONS: Final = "sn:partitions"  # string: how many partitions the endpoints are spread over

WATCHES: Final = "sn:watches"  # zset: watch id -> serial
HOST_WATCHES: Final = "sn:host-watches"  # set: the ids of the watches that follow people as hosts
SPACES: Final = "sn:spaces"  # zset: Space id -> serial of first sight
EVENTS: Final = "sn:events"  # zset: event id -> serial; the log's order
OUTBOX: Final = "sn:outbox"  # zset: event id -> serial; committed and not yet dispatched
ENDPOINTS: Final = "sn:endpoints"  # zset: endpoint id -> serial
RECOVERING: Final = "sn:recovering"  # zset: id of a recovery that runs -> when to go on with it, in ms
CHALLENGES: Final = "sn:challenges"  # zset: endpoint id -> when its next challenge is due, in ms
GENERATION: Final = "sn:endpoints:generation"  # string: grows with every change of any endpoint

WORKERS: Final = "sn:workers"  # zset: worker id -> second of its last report
TELEMETRY: Final = "sn:telemetry"  # hash: series -> value; what all processes have counted together
ADMIN_KEY: Final = "sn:admin-key"  # string: hash of the admin key that the first start made
ANSWERED: Final = "sn:answered"  # hash: call -> second of its last answer while a subject had a standing
BUCKETS: Final = "sn:buckets"  # string: X's rate buckets as JSON. TTL
REFUSALS: Final = "sn:refusals"  # string: what X does not accept beside the subjects, as JSON. TTL
HEALTH: Final = "sn:health"  # string: which calls to X fail and why, as JSON; only while one does
CYCLE_POLLED: Final = "sn:cycle:polled"  # zset: Space id -> when a living Space was polled, in ms. TTL
CYCLE_MISSING: Final = "sn:cycle:missing"  # zset: Space id -> since when it is not found, in ms. TTL
HELD: Final = "sn:held"  # zset: <thousandths of a dollar>:<id> held for a question -> until when, in ms. TTL

ARQ_QUEUE: Final = "sn:jobs"  # zset of arq's; arq's other keys start with "arq:" and expire


def watch(watch_id: str) -> str:
    """String: a watch as JSON."""
    return f"sn:watch:{watch_id}"


def watch_spaces(watch_id: str) -> str:
    """Zset: Space id -> serial, the Spaces that a watch has matched."""
    return f"sn:watch:{watch_id}:spaces"


def watch_by(kind: str) -> str:
    """Hash: identity -> watch id, so that nothing is watched twice."""
    return f"sn:watch-by:{kind}"


def space(space_id: str) -> str:
    """Hash: doc, version, phase. TTL once the Space is forgotten."""
    return f"sn:space:{space_id}"


def space_watches(space_id: str) -> str:
    """Set: the ids of the watches that a Space matches."""
    return f"sn:space:{space_id}:watches"


def space_events(space_id: str) -> str:
    """Zset: event id -> sequence. TTL."""
    return f"sn:space:{space_id}:events"


def spaces_in(phase: str) -> str:
    """Zset: Space id -> serial, the Spaces in a phase."""
    return f"sn:spaces:{phase}"


def space_mentions(space_id: str) -> str:
    """Set: events that tell of a Space among others (a watch's baseline). TTL."""
    return f"sn:space:{space_id}:mentions"


def polls(call: str, part: str) -> str:
    """Zset: what to ask X about by this call -> when, in ms; urgent, patient, and leased ones apart."""
    return f"sn:looks:{call}:{part}"


def polls_of(call: str) -> tuple[str, str, str]:
    """Name the three sets of a call, in the order in which the scripts take them."""
    return polls(call, "urgent"), polls(call, "patient"), polls(call, "leased")


def standings(call: str) -> str:
    """Hash: subject -> what X has against it and in whose company it is asked about, as JSON."""
    return f"sn:standing:{call}"


def timers(kind: str) -> str:
    """Zset: Space id -> when its timer of this kind rings, in ms."""
    return f"sn:timers:{kind}"


def event(event_id: str) -> str:
    """Hash: type, body, routing, serial, space, sequence, at. TTL."""
    return f"sn:event:{event_id}"


def events_of_type(event_type: str) -> str:
    """Zset: event id -> serial."""
    return f"sn:events:type:{event_type}"


def owed(event_id: str) -> str:
    """Set: the endpoints that an event is owed to. TTL."""
    return f"sn:owed:{event_id}"


def endpoint(endpoint_id: str) -> str:
    """String: an endpoint as JSON."""
    return f"sn:endpoint:{endpoint_id}"


def run(endpoint_id: str) -> str:
    """Hash: how an endpoint is doing, the limits that the claim keeps, and the pace that was learned."""
    return f"sn:run:{endpoint_id}"


def due(endpoint_id: str) -> str:
    """Zset: event id -> when its next attempt is due, in ms."""
    return f"sn:due:{endpoint_id}"


def leased(endpoint_id: str) -> str:
    """Zset: event id -> when the worker's lease runs out, in ms."""
    return f"sn:leased:{endpoint_id}"


def leases(worker_id: str, partition: int | str) -> str:
    """Hash: ``<endpoint id> <event id>`` -> end of its lease in ms, what a worker holds. TTL."""
    return f"sn:leases:{worker_id}:{partition}"


def lines(endpoint_id: str) -> str:
    """Hash: event id -> Space id, what an endpoint that wants order is owed and waits in a line."""
    return f"sn:lines:{endpoint_id}"


def line(endpoint_id: str, space_id: str) -> str:
    """Zset: event id -> sequence, what an endpoint that wants order is owed of one Space."""
    return f"sn:line:{endpoint_id}:{space_id}"


def memories(endpoint_id: str) -> str:
    """Hash: Space id -> what the kind of an endpoint remembers of it. TTL."""
    return f"sn:memories:{endpoint_id}"


def memory_ends(endpoint_id: str) -> str:
    """Zset: Space id -> when what is remembered of it is erased, in ms. TTL."""
    return f"sn:memory-ends:{endpoint_id}"


def owes(endpoint_id: str) -> str:
    """Zset: event id -> serial, everything ever owed to an endpoint and not yet trimmed."""
    return f"sn:owes:{endpoint_id}"


def ready(partition: int) -> str:
    """Zset: endpoint id -> when it next has something to do, in ms."""
    return f"sn:ready:{partition}"


def wakeup(job: str) -> str:
    """String: a job of this name is on its way already. TTL."""
    return f"sn:wakeup:{job}"


def delivery(delivery_id: str) -> str:
    """Hash: a delivery that has been attempted, with its attempts as JSON under their ids. TTL."""
    return f"sn:delivery:{delivery_id}"


def recovery(recovery_id: str) -> str:
    """Hash: what an endpoint is sent again, and how far that is. TTL."""
    return f"sn:recovery:{recovery_id}"


def recoveries(endpoint_id: str) -> str:
    """Zset: recovery id -> serial, what was recovered for an endpoint. TTL."""
    return f"sn:recoveries:{endpoint_id}"


def billed(day: str) -> str:
    """Set: what X has billed in a UTC day, ``s:<Space id>``, ``p:`` if with people, ``u:<user id>``. TTL."""
    return f"sn:billed:{day}"


def spent(day: str) -> str:
    """Hash: ``spaces:<hour>`` and ``users:<hour>`` -> how many X billed in that hour of a UTC day. TTL."""
    return f"sn:spent:{day}"


def idempotency(key: str) -> str:
    """String: fingerprint and the answer given, as JSON. TTL."""
    return f"sn:idempotency:{key}"


PERMANENT: Final = (
    *(SERIAL, PARTITIONS, WATCHES, HOST_WATCHES, SPACES, EVENTS, OUTBOX, ENDPOINTS, RECOVERING, GENERATION),
    *(CHALLENGES, WORKERS, TELEMETRY, ADMIN_KEY, HEALTH, ANSWERED, ARQ_QUEUE),
    *(watch("*"), watch_spaces("*"), watch_by("*"), space("*"), space_watches("*"), spaces_in("*")),
    *(polls("*", "*"), standings("*"), timers("*"), events_of_type("*"), endpoint("*"), run("*")),
    *(due("*"), leased("*"), owes("*"), lines("*"), line("*", "*")),
    "sn:ready:*",
)
"""The forms of the keys that do not expire, as patterns. Each is bounded by what it counts (watches,
endpoints, Spaces that are followed, deliveries that are owed) or trimmed by the housekeeping."""
