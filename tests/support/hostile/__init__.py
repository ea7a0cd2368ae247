"""Hostile and broken receivers, each with the result that a delivery to it must have."""

from tests.support.hostile.confusing import CONFUSING
from tests.support.hostile.disconnecting import DISCONNECTING
from tests.support.hostile.flooding import FLOODING
from tests.support.hostile.malformed import MALFORMED
from tests.support.hostile.redirecting import REDIRECTING
from tests.support.hostile.serving import Behaviour, Conn, Counts, HostileReceiver, serve
from tests.support.hostile.stalling import STALLING

HOSTILE_RECEIVERS = (*CONFUSING, *FLOODING, *DISCONNECTING, *REDIRECTING, *STALLING, *MALFORMED)

__all__ = [
    "FLOODING",
    "HOSTILE_RECEIVERS",
    "MALFORMED",
    "Behaviour",
    "Conn",
    "Counts",
    "HostileReceiver",
    "serve",
]
