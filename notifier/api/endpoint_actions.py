"""What is done to an endpoint beside changing it: enabling, verifying, testing, and its secrets."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final

from notifier.api.endpoint_models import (
    EnabledEndpointView,
    EndpointView,
    RotatedSecretView,
    SecretRotate,
    SecretView,
    TestView,
    endpoint_fields,
)
from notifier.api.endpoints import ONE, read, save, store
from notifier.api.operations import Call, Operation, Reply, hint
from notifier.api.recoveries import missed_since
from notifier.api.signing_secrets import new_secret, rotate, shown
from notifier.core.endpoint import DisabledReason, EndpointStatus, disabled, enabled, verified_anew
from notifier.core.events import EventType, plain_event
from notifier.core.instants import rfc3339
from notifier.errors import ConflictError

TEST_MESSAGE: Final = "This is a test: the endpoint is reached and can check the signature."


async def enable_endpoint(call: Call[None, None]) -> Reply:
    """Let deliveries go out again, those that waited included, and tell what was missed meanwhile.

    Where it is enabled already, its breaker is closed: whoever asks says that the receiver is back.
    """
    runtime = call.runtime
    endpoint = await read(call)
    changed = enabled(endpoint, now=runtime.clock())
    await store(runtime, changed, replacing=endpoint, mended=True)
    await hint(runtime.nudge.deliver([runtime.store.partitions.of(endpoint.id)]))
    missed = None
    if endpoint.disabled_at is not None:
        missed = await missed_since(runtime, changed, endpoint.disabled_at)
    health = await runtime.store.endpoints.health(changed.id)
    return Reply.of(EnabledEndpointView(**endpoint_fields(changed, health), missed=missed))


async def disable_endpoint(call: Call[None, None]) -> Reply:
    """Hold deliveries back; an endpoint that is disabled already keeps its reason."""
    endpoint = await read(call)
    changed = disabled(endpoint, DisabledReason.BY_HAND, now=call.runtime.clock())
    return await save(call, changed, replacing=endpoint)


async def verify_endpoint(call: Call[None, None]) -> Reply:
    """Challenge the receiver anew; deliveries wait until it has answered."""
    endpoint = await read(call)
    if endpoint.verification is None:
        raise ConflictError(f'{endpoint.id} was added without "verify": "challenge"; add another endpoint.')
    changed = verified_anew(endpoint, now=call.runtime.clock())
    if changed.status is EndpointStatus.DISABLED:
        raise ConflictError(f"{endpoint.id} is disabled; enable it, which verifies it where it has to be.")
    return await save(call, changed, replacing=endpoint)


async def get_secret(call: Call[None, None]) -> Reply:
    """Show the secret that signs at present."""
    current = (await read(call)).secrets[0]
    secret = shown(current, call.runtime.secrets)
    return Reply.of(SecretView(secret=secret, public_key=current.public_key))


async def rotate_secret(call: Call[SecretRotate, None]) -> Reply:
    """Sign with a new secret; the old one signs beside it for the grace period."""
    now = call.runtime.clock()
    endpoint = await read(call)
    secret = new_secret(endpoint.signing, call.body.secret)
    expires_at = now + call.body.grace_seconds
    rotated = rotate(endpoint, secret, call.runtime.secrets, now=now, expires_at=expires_at)
    await call.runtime.store.endpoints.save(
        replace(endpoint, secrets=rotated, updated_at=now), replacing=endpoint
    )
    goes_on = any(item.sealed == endpoint.secrets[0].sealed for item in rotated)
    previous = rfc3339(expires_at) if goes_on else None
    return Reply.of(
        RotatedSecretView(secret=secret, public_key=rotated[0].public_key, previous_expires_at=previous)
    )


async def test_endpoint(call: Call[None, None]) -> Reply:
    """Send a ``webhook.test`` event to this endpoint alone."""
    endpoint = await read(call)
    if endpoint.status is not EndpointStatus.ENABLED:
        raise ConflictError(f"{endpoint.id} is disabled; enable it first.")
    if endpoint.awaits_verification:
        raise ConflictError(f"{endpoint.id} is yet to be verified; see `verification`.")
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


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=ONE + "/enable",
        handler=enable_endpoint,
        summary="Enable an endpoint",
        answer=EnabledEndpointView,
    ),
    Operation(
        method="POST",
        path=ONE + "/disable",
        handler=disable_endpoint,
        summary="Disable an endpoint",
        answer=EndpointView,
    ),
    Operation(
        method="POST",
        path=ONE + "/verify",
        handler=verify_endpoint,
        summary="Verify an endpoint anew",
        status=202,
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
