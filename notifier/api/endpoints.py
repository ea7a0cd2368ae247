"""``/v1/endpoints``: the receivers, their secrets and their state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from notifier.api.endpoint_models import (
    CreatedEndpointView,
    EndpointCreate,
    EndpointPatch,
    EndpointView,
    endpoint_fields,
)
from notifier.api.models import random_tail
from notifier.api.operations import Call, Operation, Reply, hint
from notifier.api.paging import PageQuery, PageView
from notifier.api.signing_secrets import new_secret, seal
from notifier.core.addresses import check_url
from notifier.core.endpoint import (
    Endpoint,
    Signing,
    Verify,
    verified_anew,
)
from notifier.core.filters import check_event_types
from notifier.core.ids import EndpointId
from notifier.core.request import check_custom_headers
from notifier.errors import AddressError, InvalidInputError
from notifier.runtime import Runtime

PATH: Final = "/v1/endpoints"
ONE: Final = PATH + "/{endpoint_id}"


async def create_endpoint(call: Call[EndpointCreate, None]) -> Reply:
    """Add an endpoint; the answer shows its secret."""
    now, body = call.runtime.clock(), call.body
    chosen = _checked(call.runtime, body.chosen() | {"url": body.url})
    _check_verifiable(body.verify, body.signing)
    secret = new_secret(body.signing, body.secret)
    endpoint = Endpoint(
        id=EndpointId("ep_" + random_tail()),
        kind=body.kind,
        signing=body.signing,
        secrets=(seal(secret, body.signing, call.runtime.secrets),),
        created_at=now,
        updated_at=now,
        **chosen,
    )
    if body.verify is Verify.CHALLENGE:
        endpoint = verified_anew(endpoint, now=now)
    await call.runtime.store.endpoints.create(endpoint)
    await _hint_challenge(call.runtime, endpoint)
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
    return Reply.of(await _view(call.runtime, await read(call)))


async def change_endpoint(call: Call[EndpointPatch, None]) -> Reply:
    """Change what the subscriber chose; another URL is verified anew, where that was asked for."""
    now = call.runtime.clock()
    chosen = _checked(call.runtime, call.body.chosen())
    endpoint = await read(call)
    changed = replace(endpoint, **chosen, updated_at=now)
    if changed.url != endpoint.url and changed.verification is not None:
        changed = verified_anew(changed, now=now)
    return await save(call, changed, replacing=endpoint)


async def delete_endpoint(call: Call[None, None]) -> Reply:
    """Remove an endpoint; what is still owed to it is discarded."""
    await call.runtime.store.endpoints.delete(call.path["endpoint_id"])
    return Reply()


async def read(call: Call[Any, Any]) -> Endpoint:
    """Read the endpoint that the path names."""
    return await call.runtime.store.endpoints.get(call.path["endpoint_id"])


async def _view(runtime: Runtime, endpoint: Endpoint) -> EndpointView:
    return EndpointView(**endpoint_fields(endpoint, await runtime.store.endpoints.health(endpoint.id)))


async def save(call: Call[Any, Any], changed: Endpoint, *, replacing: Endpoint) -> Reply:
    """Put an endpoint in the place of what was read, and answer with it."""
    await store(call.runtime, changed, replacing=replacing)
    return Reply.of(await _view(call.runtime, changed))


async def store(runtime: Runtime, changed: Endpoint, *, replacing: Endpoint, mended: bool = False) -> None:
    """Put an endpoint in the place of what was read; a challenge that is due now is not left to the sweep."""
    await runtime.store.endpoints.save(changed, replacing=replacing, mended=mended)
    if changed.verification != replacing.verification:
        await _hint_challenge(runtime, changed)


async def _hint_challenge(runtime: Runtime, endpoint: Endpoint) -> None:
    if endpoint.challenge_due_at is not None:
        await hint(runtime.nudge.challenge())


def _check_verifiable(verify: Verify, signing: Signing) -> None:
    """Refuse a challenge that nobody could answer: a public key proves nothing about who holds it."""
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
)
