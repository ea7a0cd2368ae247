"""``/v1/endpoints``: the receivers, their secrets and their state."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, Final

from notifier.api.endpoint_models import (
    CreatedEndpointView,
    EndpointCreate,
    EndpointPatch,
    EndpointView,
    RotatedSecretView,
    SecretRotate,
    SecretView,
    TestView,
    endpoint_fields,
)
from notifier.api.models import random_tail
from notifier.api.operations import Call, Operation, Reply, hint
from notifier.api.paging import PageQuery, PageView
from notifier.api.signing_secrets import new_secret, rotate
from notifier.core.addresses import check_url
from notifier.core.endpoint import DisabledReason, Endpoint, EndpointStatus, SealedSecret
from notifier.core.events import EventType, plain_event
from notifier.core.filters import check_event_types
from notifier.core.ids import EndpointId
from notifier.core.instants import rfc3339
from notifier.core.request import check_custom_headers
from notifier.errors import AddressError, ConflictError, InvalidInputError
from notifier.runtime import Runtime

PATH: Final = "/v1/endpoints"
ONE: Final = PATH + "/{endpoint_id}"
TEST_MESSAGE: Final = "This is a test: the endpoint is reached and can check the signature."


async def create_endpoint(call: Call[EndpointCreate, None]) -> Reply:
    """Add an endpoint; the answer shows its secret."""
    now = call.runtime.clock()
    chosen = _checked(call.runtime, call.body.chosen() | {"url": call.body.url})
    secret = new_secret(call.body.secret)
    endpoint = Endpoint(
        id=EndpointId("ep_" + random_tail()),
        kind=call.body.kind,
        secrets=(SealedSecret(call.runtime.secrets.seal(secret)),),
        created_at=now,
        updated_at=now,
        **chosen,
    )
    await call.runtime.store.endpoints.create(endpoint)
    health = await call.runtime.store.endpoints.health(endpoint.id)
    view = CreatedEndpointView(**endpoint_fields(endpoint, health), secret=secret)
    return Reply.of(view, location=f"{PATH}/{endpoint.id}")


async def list_endpoints(call: Call[None, PageQuery]) -> Reply:
    """List the endpoints, the newest first."""
    page = await call.runtime.store.endpoints.page(**call.query.page())
    health = await call.runtime.store.endpoints.health_of([endpoint.id for endpoint in page.items])
    views = [
        EndpointView(**endpoint_fields(endpoint, each))
        for endpoint, each in zip(page.items, health, strict=True)
    ]
    return Reply.of(PageView[EndpointView](data=views, next_cursor=page.next_cursor))


async def get_endpoint(call: Call[None, None]) -> Reply:
    """Give one endpoint."""
    return Reply.of(await _view(call.runtime, await _endpoint(call)))


async def change_endpoint(call: Call[EndpointPatch, None]) -> Reply:
    """Change what the subscriber chose."""
    chosen = _checked(call.runtime, call.body.chosen())
    return await _save(call, await _endpoint(call), **chosen)


async def delete_endpoint(call: Call[None, None]) -> Reply:
    """Remove an endpoint; what is still owed to it is discarded."""
    await call.runtime.store.endpoints.delete(call.path["endpoint_id"])
    return Reply()


async def enable_endpoint(call: Call[None, None]) -> Reply:
    """Let deliveries go out again, those that waited included."""
    endpoint = await _endpoint(call)
    reply = await _save(call, endpoint, status=EndpointStatus.ENABLED, disabled_reason=None)
    await hint(call.runtime.nudge.deliver([call.runtime.store.partitions.of(endpoint.id)]))
    return reply


async def disable_endpoint(call: Call[None, None]) -> Reply:
    """Hold deliveries back; an endpoint that is disabled already keeps its reason."""
    endpoint = await _endpoint(call)
    reason = endpoint.disabled_reason or DisabledReason.BY_HAND
    return await _save(call, endpoint, status=EndpointStatus.DISABLED, disabled_reason=reason)


async def get_secret(call: Call[None, None]) -> Reply:
    """Show the secret that signs at present."""
    current = (await _endpoint(call)).secrets[0]
    return Reply.of(SecretView(secret=call.runtime.secrets.open(current.sealed)))


async def rotate_secret(call: Call[SecretRotate, None]) -> Reply:
    """Sign with a new secret; the old one signs beside it for the grace period."""
    now = call.runtime.clock()
    endpoint = await _endpoint(call)
    secret = new_secret(call.body.secret)
    expires_at = now + call.body.grace_seconds
    rotated = rotate(endpoint, secret, call.runtime.secrets, now=now, expires_at=expires_at)
    await call.runtime.store.endpoints.save(
        replace(endpoint, secrets=rotated, updated_at=now), replacing=endpoint
    )
    previous = rfc3339(expires_at) if call.body.grace_seconds else None
    return Reply.of(RotatedSecretView(secret=secret, previous_expires_at=previous))


async def test_endpoint(call: Call[None, None]) -> Reply:
    """Send a ``webhook.test`` event to this endpoint alone."""
    endpoint = await _endpoint(call)
    if endpoint.status is not EndpointStatus.ENABLED:
        raise ConflictError(f"{endpoint.id} is disabled; enable it first.")
    event = plain_event(
        EventType.WEBHOOK_TEST,
        content=(endpoint.id, secrets.token_hex()),
        details={"endpoint_id": endpoint.id, "message": TEST_MESSAGE},
        observed_at=call.runtime.clock(),
        endpoint_id=endpoint.id,
    )
    await call.runtime.store.events.commit(event)
    await hint(call.runtime.nudge.dispatch())
    return Reply.of(TestView(event_id=event.id))


async def _endpoint(call: Call[Any, Any]) -> Endpoint:
    return await call.runtime.store.endpoints.get(call.path["endpoint_id"])


async def _view(runtime: Runtime, endpoint: Endpoint) -> EndpointView:
    return EndpointView(**endpoint_fields(endpoint, await runtime.store.endpoints.health(endpoint.id)))


async def _save(call: Call[Any, Any], endpoint: Endpoint, **changes: Any) -> Reply:  # noqa: ANN401  fields of Endpoint
    changed = replace(endpoint, **changes, updated_at=call.runtime.clock())
    await call.runtime.store.endpoints.save(changed, replacing=endpoint)
    return Reply.of(await _view(call.runtime, changed))


def _checked(runtime: Runtime, chosen: dict[str, Any]) -> dict[str, Any]:
    """Run the core's own checks on what the subscriber chose."""
    if "event_types" in chosen:
        check_event_types(chosen["event_types"])
    if "headers" in chosen:
        check_custom_headers(chosen["headers"])
    if "url" not in chosen:
        return chosen
    settings = runtime.settings
    try:
        url = check_url(chosen["url"], allow_http=settings.allow_http, allowed=settings.allowed_networks)
    except AddressError as error:
        raise InvalidInputError.of("url", error.message) from error
    return chosen | {"url": url}


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=PATH,
        handler=create_endpoint,
        summary="Add an endpoint",
        status=201,
        body=EndpointCreate,
        answer=CreatedEndpointView,
    ),
    Operation(
        method="GET",
        path=PATH,
        handler=list_endpoints,
        summary="List endpoints",
        query=PageQuery,
        answer=PageView[EndpointView],
    ),
    Operation(method="GET", path=ONE, handler=get_endpoint, summary="Get an endpoint", answer=EndpointView),
    Operation(
        method="PATCH",
        path=ONE,
        handler=change_endpoint,
        summary="Change an endpoint",
        body=EndpointPatch,
        answer=EndpointView,
    ),
    Operation(method="DELETE", path=ONE, handler=delete_endpoint, summary="Remove an endpoint", status=204),
    Operation(
        method="POST",
        path=ONE + "/enable",
        handler=enable_endpoint,
        summary="Enable an endpoint",
        answer=EndpointView,
    ),
    Operation(
        method="POST",
        path=ONE + "/disable",
        handler=disable_endpoint,
        summary="Disable an endpoint",
        answer=EndpointView,
    ),
    Operation(
        method="GET", path=ONE + "/secret", handler=get_secret, summary="Show the secret", answer=SecretView
    ),
    Operation(
        method="POST",
        path=ONE + "/rotate-secret",
        handler=rotate_secret,
        summary="Rotate the secret",
        body=SecretRotate,
        answer=RotatedSecretView,
    ),
    Operation(
        method="POST",
        path=ONE + "/test",
        handler=test_endpoint,
        summary="Send a test event",
        status=202,
        answer=TestView,
    ),
)
