"""``/v1/endpoints``: the receivers, their secrets and their state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from notifier.api.bodies import Document
from notifier.api.endpoint_kinds import (
    TARGET,
    check_fields,
    kind_named,
    kind_of,
    opened_target,
    seal_target,
)
from notifier.api.endpoint_models import (
    CreatedEndpointView,
    EndpointCreate,
    EndpointPatch,
    EndpointView,
    chosen_fields,
    endpoint_fields,
)
from notifier.api.models import random_tail
from notifier.api.operations import Call, hint, operation
from notifier.api.paging import PageQuery, PageView, page_of, page_reply
from notifier.api.patching import Patch
from notifier.api.preconditions import etag_of
from notifier.api.signing_secrets import new_secret, seal
from notifier.core.delivery.addresses import check_url
from notifier.core.delivery.endpoint import (
    Endpoint,
    Ordering,
    Signing,
    Verify,
    verified_again,
)
from notifier.core.delivery.filters import check_event_types
from notifier.core.delivery.request import check_custom_headers
from notifier.core.model.api_key import Scope
from notifier.core.model.ids import EndpointId
from notifier.errors import AddressError, InvalidInputError
from notifier.http.access import key
from notifier.http.reply import Reply
from notifier.runtime import Runtime
from notifier.store import Change, Job

PATH: Final = "/v1/endpoints"
ONE: Final = PATH + "/{endpoint_id}"


async def create_endpoint(call: Call[EndpointCreate, None]) -> Reply[CreatedEndpointView]:
    """Add an endpoint.

    The answer shows its secret.
    """
    now, body = call.runtime.clock(), call.body
    kind = kind_named(call.runtime, body.kind)
    check_fields(kind, body.model_fields_set, body.ordering)
    endpoint = Endpoint(
        id=EndpointId("ep_" + random_tail()),
        kind=kind.name,
        created_at=now,
        updated_at=now,
        **kind.defaults | _checked(call.runtime, body.chosen()),
    )
    if kind.target is not None:
        target = seal_target(call.runtime, kind.target, body.target)
        return await _created(call, replace(endpoint, target=target, ordering=Ordering.SPACE))
    _check_verifiable(body.verify, body.signing)
    secret = new_secret(body.signing, body.secret)
    sealed = seal(secret, body.signing, call.runtime.secrets)
    endpoint = replace(endpoint, signing=body.signing, secrets=(sealed,))
    if body.verify is Verify.CHALLENGE:
        endpoint = verified_again(endpoint, now=now)
    return await _created(call, endpoint, secret=secret)


async def _created(
    call: Call[EndpointCreate, None], endpoint: Endpoint, **secret: str
) -> Reply[CreatedEndpointView]:
    """Keep a new endpoint and answer with it."""
    await call.runtime.store.endpoints.create(endpoint)
    await _hint_challenge(call.runtime, endpoint)
    health = await call.runtime.store.endpoints.health(endpoint.id)
    view = CreatedEndpointView(**endpoint_fields(endpoint, health), **secret)
    return Reply.of(view, location=f"{PATH}/{endpoint.id}", etag=etag_of(endpoint))


async def list_endpoints(call: Call[None, PageQuery]) -> Reply[PageView[EndpointView]]:
    """List endpoints.

    The newest comes first.
    """
    page = await call.runtime.store.endpoints.page(**page_of(call))
    health = await call.runtime.store.endpoints.health_of([endpoint.id for endpoint in page.items])
    views = [
        EndpointView(**endpoint_fields(endpoint, each))
        for endpoint, each in zip(page.items, health, strict=True)
    ]
    return page_reply(call, EndpointView, views, page.next_cursor)


async def get_endpoint(call: Call[None, None]) -> Reply[EndpointView]:
    """Get an endpoint."""
    return await reply(call, await read(call))


async def change_endpoint(call: Call[EndpointPatch, None]) -> Reply[EndpointView]:
    """Change an endpoint.

    Another URL is verified again, where that was asked for.
    """
    runtime, now, patch = call.runtime, call.runtime.clock(), Patch(call, EndpointPatch)

    def decide(endpoint: Endpoint) -> Endpoint:
        kind = kind_of(runtime, endpoint)
        body = patch.over(_patchable(call, endpoint), kind.defaults)
        check_fields(kind, body.model_fields_set, body.ordering)
        chosen = _checked(runtime, body.chosen())
        if kind.target is not None and TARGET in body.model_fields_set:
            chosen[TARGET] = seal_target(runtime, kind.target, body.target, before=endpoint.target)
        patch.refuse_overwriting(endpoint, chosen)
        changed = replace(endpoint, **chosen, updated_at=now)
        if changed.url != endpoint.url and changed.verification is not None:
            return verified_again(changed, now=now)
        return changed

    return await reply(call, (await change(call, decide)).after)


def _patchable(call: Call[EndpointPatch, None], endpoint: Endpoint) -> Document:
    """Return what a PATCH can change, with the target in the clear where it is to be merged."""
    fields = chosen_fields(endpoint)
    if endpoint.target is not None and call.merge is not None and TARGET in call.merge:
        fields[TARGET] = opened_target(call.runtime, endpoint)
    return fields


async def delete_endpoint(call: Call[None, None]) -> Reply[None]:
    """Remove an endpoint.

    What is still owed to it is discarded.
    """
    if call.if_match is not None:
        call.if_match.check(await read(call))
    await call.runtime.store.endpoints.delete(call.path["endpoint_id"])
    return Reply.nothing()


async def read(call: Call[Any, Any]) -> Endpoint:
    """Read the endpoint that the path names."""
    return await call.runtime.store.endpoints.get(call.path["endpoint_id"])


async def reply(call: Call[Any, Any], endpoint: Endpoint) -> Reply[EndpointView]:
    """Answer with an endpoint as it is, and with its health."""
    health = await call.runtime.store.endpoints.health(endpoint.id)
    return Reply.of(EndpointView(**endpoint_fields(endpoint, health)), etag=etag_of(endpoint))


async def change(
    call: Call[Any, Any], decide: Callable[[Endpoint], Endpoint], *, repaired: bool = False
) -> Change[Endpoint]:
    """Change the endpoint that the path names, if it is in a state that the caller wants to change.

    A challenge that is due then is not left to the sweep. Arguments and errors are those of the store's
    ``Endpoints.change``.
    """

    def decide_if_matched(endpoint: Endpoint) -> Endpoint:
        if call.if_match is not None:
            call.if_match.check(endpoint)
        return decide(endpoint)

    runtime = call.runtime
    done = await runtime.store.endpoints.change(
        call.path["endpoint_id"], decide_if_matched, repaired=repaired
    )
    if done.after.verification != done.before.verification:
        await _hint_challenge(runtime, done.after)
    return done


async def _hint_challenge(runtime: Runtime, endpoint: Endpoint) -> None:
    if endpoint.challenge_due_at is not None:
        await hint(runtime.wakeup.ring(Job.CHALLENGE))


def _check_verifiable(verify: Verify, signing: Signing) -> None:
    """Refuse a challenge that cannot be answered: a public key does not prove who has the secret."""
    if verify is Verify.CHALLENGE and signing is Signing.ED25519:
        raise InvalidInputError.of(
            "verify",
            "a challenge is answered with a shared secret, and with ed25519 there is none; "
            'use "signing": "hmac", or leave verify out',
        )


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
    operation("POST", PATH, create_endpoint, key(Scope.ENDPOINTS_WRITE), status=201, shows_etag=True),
    operation("GET", PATH, list_endpoints, key(Scope.ENDPOINTS_READ)),
    operation("GET", ONE, get_endpoint, key(Scope.ENDPOINTS_READ), shows_etag=True),
    operation(
        "PATCH", ONE, change_endpoint, key(Scope.ENDPOINTS_WRITE), takes_if_match=True, shows_etag=True
    ),
    operation("DELETE", ONE, delete_endpoint, key(Scope.ENDPOINTS_WRITE), status=204, takes_if_match=True),
)
