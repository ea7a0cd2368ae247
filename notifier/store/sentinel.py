"""Finding the server to write to by way of Sentinels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection
from redis.exceptions import RedisError

from notifier.errors import UnavailableError, UnusableServerError
from notifier.store.faults import NoPrimaryError, fault_of

HANDSHAKE_SECONDS: Final = 2.5
"""How long TLS may take. It ends before the time to connect does: then the error says that it was TLS."""


class TlsConnection(SSLConnection):
    """A connection with TLS."""

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "ssl_handshake_timeout": HANDSHAKE_SECONDS}


class PrimaryConnection(SentinelManagedConnection):
    """A connection to the primary.

    redis-py would ask the Sentinels again and again here, inside of what the caller repeats already.
    """

    async def connect(self) -> None:
        """Ask for the primary and connect to it, once."""
        await self._connect_retry()  # type: ignore[no-untyped-call]


class PrimaryTlsConnection(PrimaryConnection, TlsConnection):
    """The same with TLS."""


class Sentinels(Sentinel):
    """redis-py's Sentinels, with an error that says what each of them said."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Ask one Sentinel after the other for the primary; the one that knew it is asked first from then on.

        Raises:
            NoPrimaryError: None of them names one that is up.
        """
        unknown = 0
        faults = []
        for place, sentinel in enumerate(self.sentinels):
            try:
                state = (await sentinel.sentinel_masters()).get(service_name)  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as error:
                faults.append(fault_of(error))
                continue
            if state is None:
                unknown += 1
            elif self.check_master_state(state, service_name):
                self.sentinels.insert(0, self.sentinels.pop(place))
                return state["ip"], state["port"]
        raise _no_primary(service_name, faults, unknown=unknown, asked=len(self.sentinels))


def _no_primary(
    service: str, faults: Sequence[UnavailableError], *, unknown: int, asked: int
) -> NoPrimaryError:
    """Return the error; a setting is wrong where each of the Sentinels says so or does not know the name."""
    wrong = unknown + sum(isinstance(each, UnusableServerError) for each in faults)
    reasons = [each.message.partition(": ")[2] for each in faults]
    if unknown:
        reasons.insert(0, f"{unknown} of {asked} do not know the name")
    text = f"no Sentinel names a primary for {service!r}" + "".join(
        f"; {each}" for each in dict.fromkeys(reasons)
    )
    return NoPrimaryError(text, setting=wrong == asked)
