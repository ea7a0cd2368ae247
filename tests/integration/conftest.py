"""The admin API behind a real server; ``api_runtime`` is what it runs on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from notifier.api.app import create_app
from tests.support.admin_api import KEY, Client
from tests.support.memory_store import api_runtime

__all__ = ["api_runtime"]


@pytest.fixture
async def bare_client(
    aiohttp_client: Callable[[web.Application], Awaitable[Client]], api_runtime: Any
) -> Client:
    """A client without a key."""
    return await aiohttp_client(create_app(api_runtime))


@pytest.fixture
async def api_client(bare_client: Client) -> Client:
    """A client that sends the admin key with every call."""
    bare_client.session.headers.update(KEY)
    return bare_client
