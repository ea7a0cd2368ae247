"""An outbound proxy: where it is, who we are to it, and the connection to it.

The proxy is the only address that is dialled. It looks up the receivers' names and has to refuse forbidden
addresses itself.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from yarl import URL

from notifier.delivery.failures import text_of
from notifier.delivery.message import Origin
from notifier.errors import AddressError, ProxyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifier.delivery.dial import Dialler
    from notifier.delivery.guard import AnyProtocol

EVERYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""The networks a proxy may be in: any, since the operator configured it."""

SHARE_OF_TIME: Final = 2 / 3
"""The share of the time-out for reaching the proxy; if it takes longer, that is the proxy's fault."""

SOCKS_PORT: Final = 1080
"""Where a URL names no port; RFC 1928 section 3."""


class ProxyServer:
    """An outbound proxy.

    Args:
        url: Its URL, which may hold a user and a password.
        dialler: The direct route to it.

    Attributes:
        speaks_socks: Whether it speaks SOCKS5, otherwise HTTP.
        user: None if the URL has none.
        password: None if the URL has none.
        trust: The trusted certificates, its own and the receivers'.
    """

    def __init__(self, url: str, dialler: Dialler) -> None:
        parsed = URL(url)
        self.speaks_socks = parsed.scheme.startswith("socks5")
        self.user = parsed.user
        self.password = parsed.password
        self.trust = dialler.trust
        self._origin = Origin(parsed.scheme == "https", parsed.raw_host or "", parsed.port or SOCKS_PORT)
        self._dialler = dialler

    async def reach(self, protocol: Callable[[], AnyProtocol], until: float) -> AnyProtocol:
        """Connect to the proxy before ``until``, by the loop's clock.

        Raises:
            ProxyError: It cannot be reached.
        """
        try:
            return await self._dialler.reach(self._origin, protocol, until)
        except (OSError, ValueError, AddressError) as error:
            raise ProxyError(text_of(error) or "no connection was established in time") from error


def reached_by(deadline: float) -> float:
    """Return by when the proxy has to be reached for the tunnel to be open before ``deadline``."""
    now = asyncio.get_running_loop().time()
    return now + (deadline - now) * SHARE_OF_TIME
