"""The clients of a worker; no other process asks X or sends deliveries."""

from __future__ import annotations

from notifier.delivery.client import DeliveryClient, DeliveryClientSettings
from notifier.runtime import Runtime
from notifier.source import XClient


def x_client(runtime: Runtime) -> XClient | None:
    """Return a client for X's API, None without a bearer token."""
    settings, store = runtime.settings, runtime.store
    if settings.x_bearer_token is None:
        return None
    return XClient(
        settings.x_api_url,
        settings.x_bearer_token.get_secret_value(),
        store.budget,
        store.refusals,
        proxy=settings.x_proxy.get_secret_value() if settings.x_proxy else None,
        clock=runtime.clock,
    )


def delivery_client(runtime: Runtime, *, max_connections: int) -> DeliveryClient:
    """Return a client for deliveries."""
    settings = runtime.settings
    return DeliveryClient(
        DeliveryClientSettings(
            timeout_seconds=settings.request_timeout_seconds,
            max_connections=max_connections,
            allowed_networks=settings.allowed_networks,
            proxy=settings.outbound_proxy.get_secret_value() if settings.outbound_proxy else None,
        )
    )
