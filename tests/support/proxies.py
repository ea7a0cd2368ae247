"""Both kinds of proxy, for what is the same behind either."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias

import pytest

from tests.support.relay import Relay, relay
from tests.support.socks import SocksProxy, socks_proxy

Proxy: TypeAlias = Callable[[], AbstractAsyncContextManager[Relay | SocksProxy]]

each_proxy: Final = pytest.mark.parametrize("through", [relay, socks_proxy], ids=["HTTP", "SOCKS5"])
"""Runs a test once for each kind of proxy."""
