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
from notifier.api.endpoints import ONE, change, read, reply
from notifier.api.operations import Call, Operation, Reply, hint
from notifier.api.preconditions import etag_of
from notifier.api.recoveries import missed_since
from notifier.api.signing_secrets import new_secret, rotate, shown
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, disabled, enabled, verified_anew
from notifier.core.events.event import EventType, plain_event
from notifier.core.model.instants import rfc3339
from notifier.core.model.reasons import DisabledReason
from notifier.errors import ConflictError

TEST_MESSAGE: Final = "This is a test: the endpoint is reached and can check the signature."


async def enable_endpoint(call: Call[None, None]) -> Reply:
    """Let deliveries go out again, those that waited included, and tell what was missed meanwhile.

    Where it is enabled already, its breaker is closed: the caller says that the receiver is back.
    """
    runtime = call.runtime
    now = runtime.clock()
    done = await change(call, lambda endpoint: enabled(endpoint, now=now), repaired=True)
    endpoint, disabled_at = done.after, done.before.disabled_at
    await hint(runtime.wakeup.deliver([runtime.store.partitions.of(endpoint.id)]))
    missed = None if disabled_at is None else await missed_since(runtime, endpoint, disabled_at)
    health = await runtime.store.endpoints.health(endpoint.id)
    view = EnabledEndpointView(**endpoint_fields(endpoint, health), missed=missed)
    return Reply.of(view, etag=etag_of(endpoint))


async def disable_endpoint(call: Call[None, None]) -> Reply:
    """Hold deliveries back; an endpoint that is disabled already keeps its reason."""
    now = call.runtime.clock()
    done = await change(call, lambda endpoint: disabled(endpoint, DisabledReason.BY_HAND, now=now))
    return await reply(call, done.after)


async def verify_endpoint(call: Call[None, None]) -> Reply:
    """Challenge the receiver again; deliveries wait until it has answered."""
    now = call.runtime.clock()

    def decide(endpoint: Endpoint) -> Endpoint:
        if endpoint.verification is None:
            if endpoint.target is not None:
                raise ConflictError(f"{endpoint.id} is of the kind {endpoint.kind}, which is not verified.")
            raise ConflictError(
                f'{endpoint.id} was added without "verify": "challenge"; add another endpoint.'
            )
        changed = verified_anew(endpoint, now=now)
        if changed.status is EndpointStatus.DISABLED:
            raise ConflictError(
                f"{endpoint.id} is disabled; enable it, which verifies it where it has to be."
            )
        return changed

    return await reply(call, (await change(call, decide)).after)


async def get_secret(call: Call[None, None]) -> Reply:
    """Show the secret that signs at present."""
    current = _signing(await read(call)).secrets[0]
    secret = shown(current, call.runtime.secrets)
    return Reply.of(SecretView(secret=secret, public_key=current.public_key))


async def rotate_secret(call: Call[SecretRotate, None]) -> Reply:
    """Sign with a new secret; the old one signs beside it for the grace period."""
    now, box = call.runtime.clock(), call.runtime.secrets
    # The scheme of an endpoint never changes.
    secret = new_secret(_signing(await read(call)).signing, call.body.secret)
    expires_at = now + call.body.grace_seconds

    def decide(endpoint: Endpoint) -> Endpoint:
        rotated = rotate(endpoint, secret, box, now=now, expires_at=expires_at)
        return replace(endpoint, secrets=rotated, updated_at=now)

    done = await change(call, decide)
    current, *others = done.after.secrets
    goes_on = any(item.sealed == done.before.secrets[0].sealed for item in others)
    previous = rfc3339(expires_at) if goes_on else None
    return Reply.of(
        RotatedSecretView(secret=secret, public_key=current.public_key, previous_expires_at=previous)
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
    await hint(call.runtime.wakeup.dispatch())
    return Reply.of(TestView(event_id=event.id))


def _signing(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose requests are signed.

    Raises:
        ConflictError: Those of its kind are not.
    """
    if endpoint.target is not None:
        raise ConflictError(f"{endpoint.id} is of the kind {endpoint.kind}, which has no signing secret.")
    return endpoint


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=ONE + "/enable",
        handler=enable_endpoint,
        summary="Enable an endpoint",
        answer=EnabledEndpointView,
        takes_if_match=True,
        shows_etag=True,
    ),
    Operation(
        method="POST",
        path=ONE + "/disable",
        handler=disable_endpoint,
        summary="Disable an endpoint",
        answer=EndpointView,
        takes_if_match=True,
        shows_etag=True,
    ),
    Operation(
        method="POST",
        path=ONE + "/verify",
        handler=verify_endpoint,
        summary="Verify an endpoint again",
        status=202,
        answer=EndpointView,
        takes_if_match=True,
        shows_etag=True,
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
        takes_if_match=True,
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
