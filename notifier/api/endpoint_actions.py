"""Actions on endpoints: enabling, verifying, testing, and rotating secrets."""

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
from notifier.api.operations import Call, hint, operation
from notifier.api.preconditions import etag_of
from notifier.api.recoveries import missed_since
from notifier.api.signing_secrets import new_secret, rotate, shown
from notifier.core.delivery.endpoint import Endpoint, EndpointStatus, disabled, enabled, verified_again
from notifier.core.events.event import EventType, plain_event
from notifier.core.model.api_key import Scope
from notifier.core.model.instants import rfc3339
from notifier.core.model.reasons import DisabledReason
from notifier.errors import ConflictError
from notifier.http.access import key
from notifier.http.reply import Reply

TEST_MESSAGE: Final = "This is a test: the endpoint is reached and can check the signature."


async def enable_endpoint(call: Call[None, None]) -> Reply[EnabledEndpointView]:
    """Enable an endpoint.

    Deliveries go out again, those that waited included; `missed` says what it missed meanwhile. If it is
    already enabled, its breaker is closed: the caller says that the receiver is back.
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


async def disable_endpoint(call: Call[None, None]) -> Reply[EndpointView]:
    """Disable an endpoint.

    Deliveries are held back. An endpoint that is disabled already keeps its reason.
    """
    now = call.runtime.clock()
    done = await change(call, lambda endpoint: disabled(endpoint, DisabledReason.BY_HAND, now=now))
    return await reply(call, done.after)


async def verify_endpoint(call: Call[None, None]) -> Reply[EndpointView]:
    """Verify an endpoint again.

    The receiver is challenged, and deliveries wait until it has answered.
    """
    now = call.runtime.clock()

    def decide(endpoint: Endpoint) -> Endpoint:
        if endpoint.verification is None:
            if endpoint.target is not None:
                raise ConflictError(f"{endpoint.id} is of the kind {endpoint.kind}, which is not verified.")
            raise ConflictError(
                f'{endpoint.id} was added without "verify": "challenge"; add another endpoint.'
            )
        changed = verified_again(endpoint, now=now)
        if changed.status is EndpointStatus.DISABLED:
            raise ConflictError(
                f"{endpoint.id} is disabled; enable it, which verifies it where it has to be."
            )
        return changed

    return await reply(call, (await change(call, decide)).after)


async def get_secret(call: Call[None, None]) -> Reply[SecretView]:
    """Show the secret.

    It is the one that signs at present.
    """
    current = _signing(await read(call)).secrets[0]
    secret = shown(current, call.runtime.secrets)
    return Reply.of(SecretView(secret=secret, public_key=current.public_key))


async def rotate_secret(call: Call[SecretRotate, None]) -> Reply[RotatedSecretView]:
    """Rotate the secret.

    The old one signs beside the new one for the grace period.
    """
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


async def test_endpoint(call: Call[None, None]) -> Reply[TestView]:
    """Send a test event.

    A `webhook.test` goes to this endpoint alone.
    """
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
    operation(
        "POST",
        ONE + "/enable",
        enable_endpoint,
        key(Scope.ENDPOINTS_WRITE),
        takes_if_match=True,
        shows_etag=True,
    ),
    operation(
        "POST",
        ONE + "/disable",
        disable_endpoint,
        key(Scope.ENDPOINTS_WRITE),
        takes_if_match=True,
        shows_etag=True,
    ),
    operation(
        "POST",
        ONE + "/verify",
        verify_endpoint,
        key(Scope.ENDPOINTS_WRITE),
        status=202,
        takes_if_match=True,
        shows_etag=True,
    ),
    operation("GET", ONE + "/secret", get_secret, key(Scope.ENDPOINTS_WRITE)),
    operation("POST", ONE + "/rotate-secret", rotate_secret, key(Scope.ENDPOINTS_WRITE), takes_if_match=True),
    operation("POST", ONE + "/test", test_endpoint, key(Scope.ENDPOINTS_WRITE), status=202),
)
