"""``endpoints …``."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

from notifier.cli.admin import AdminApi, Cursor, Limit, admin_command, given, quoted

app = typer.Typer(help="Endpoints: URLs, secrets, filters, state of receivers.", no_args_is_help=True)

PATH: Final = "/v1/endpoints"
COLUMNS: Final = ("id", "url", "status", "event_types", "health.pending", "health.last_failure_reason")

EndpointId: TypeAlias = Annotated[str, typer.Argument(metavar="ENDPOINT_ID")]
Texts: TypeAlias = list[str] | None

Description: TypeAlias = Annotated[str | None, typer.Option(help="For people.")]
Types: TypeAlias = Annotated[Texts, typer.Option("--event-type", help="A type, space.* or *; repeatable.")]
SpaceIds: TypeAlias = Annotated[Texts, typer.Option("--space-id", help="Only this Space; repeatable.")]
CreatorIds: TypeAlias = Annotated[
    Texts, typer.Option("--creator-id", help="Only Spaces of this user; repeatable.")
]
WatchIds: TypeAlias = Annotated[Texts, typer.Option("--watch-id", help="Only by this watch; repeatable.")]
Languages: TypeAlias = Annotated[
    Texts, typer.Option("--language", help="Only Spaces in this language; repeatable.")
]
Payload: TypeAlias = Annotated[str | None, typer.Option(help="full or thin.")]
BodyFormat: TypeAlias = Annotated[str | None, typer.Option("--format", help="standard or cloudevents.")]
Headers: TypeAlias = Annotated[
    Texts, typer.Option("--header", help="Sent with every attempt, 'Name: value'; repeatable.")
]
Ordering: TypeAlias = Annotated[str | None, typer.Option(help="space or none.")]
Concurrency: TypeAlias = Annotated[int | None, typer.Option(help="Maximum concurrent attempts.")]
Rate: TypeAlias = Annotated[float | None, typer.Option(help="Maximum attempts per second.")]
Metadata: TypeAlias = Annotated[Texts, typer.Option(help="A note for programs, name=value; repeatable.")]
Secret: TypeAlias = Annotated[
    str | None, typer.Option(help="Your own secret, whsec_… or for ed25519 whsk_…; generated if not given.")
]

EMPTY: Final[dict[str, object]] = {
    "description": None,
    "filters": {},
    "headers": {},
    "metadata": {},
    "rate_limit_per_second": None,
}
"""The fields that --clear resets, and the API's value for each."""


@admin_command(app, "list")
def list_endpoints(api: AdminApi, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the endpoints, the newest first."""
    api.show_page(api.get(PATH, limit=limit, cursor=cursor), COLUMNS)


@admin_command(app, "get")
def get_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Show one endpoint."""
    api.show(api.get(_path(endpoint_id)))


@admin_command(app, "create")
def create_endpoint(
    api: AdminApi,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent.")],
    *,
    description: Description = None,
    event_types: Types = None,
    space_ids: SpaceIds = None,
    creator_ids: CreatorIds = None,
    watch_ids: WatchIds = None,
    languages: Languages = None,
    payload: Payload = None,
    body_format: BodyFormat = None,
    signing: Annotated[str | None, typer.Option(help="hmac or ed25519.")] = None,
    secret: Secret = None,
    verify: Annotated[
        str | None, typer.Option(help="challenge: deliver nothing until the receiver has answered one.")
    ] = None,
    header: Headers = None,
    ordering: Ordering = None,
    max_concurrency: Concurrency = None,
    rate_limit_per_second: Rate = None,
    metadata: Metadata = None,
) -> None:
    """Add an endpoint; the answer shows its secret."""
    body = given(
        url=url,
        description=description,
        event_types=event_types,
        filters=given(space_ids=space_ids, creator_ids=creator_ids, watch_ids=watch_ids, languages=languages),
        payload=payload,
        format=body_format,
        signing=signing,
        secret=secret,
        verify=verify,
        headers=_pairs(header, ":", "--header"),
        ordering=ordering,
        max_concurrency=max_concurrency,
        rate_limit_per_second=rate_limit_per_second,
        metadata=_pairs(metadata, "=", "--metadata"),
    )
    api.show(api.post(PATH, body))


@admin_command(app, "update")
def update_endpoint(
    api: AdminApi,
    endpoint_id: EndpointId,
    *,
    to: Annotated[str | None, typer.Option(metavar="URL", help="Where events are sent from now on.")] = None,
    description: Description = None,
    event_types: Types = None,
    space_ids: SpaceIds = None,
    creator_ids: CreatorIds = None,
    watch_ids: WatchIds = None,
    languages: Languages = None,
    payload: Payload = None,
    body_format: BodyFormat = None,
    header: Headers = None,
    ordering: Ordering = None,
    max_concurrency: Concurrency = None,
    rate_limit_per_second: Rate = None,
    metadata: Metadata = None,
    clear: Annotated[Texts, typer.Option(help=f"Reset a field: {', '.join(EMPTY)}; repeatable.")] = None,
) -> None:
    """Change only the given fields.

    Filters, headers and metadata are replaced as a whole.
    """
    body = _cleared(clear or []) | given(
        url=to,
        description=description,
        event_types=event_types,
        filters=given(space_ids=space_ids, creator_ids=creator_ids, watch_ids=watch_ids, languages=languages),
        payload=payload,
        format=body_format,
        headers=_pairs(header, ":", "--header"),
        ordering=ordering,
        max_concurrency=max_concurrency,
        rate_limit_per_second=rate_limit_per_second,
        metadata=_pairs(metadata, "=", "--metadata"),
    )
    if not body:
        raise typer.BadParameter("nothing to change; --help lists the options")
    api.show(api.patch(_path(endpoint_id), body))


@admin_command(app, "delete")
def delete_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Delete an endpoint and discard its pending deliveries."""
    api.delete(_path(endpoint_id))


@admin_command(app, "enable")
def enable_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Resume deliveries."""
    api.show(api.post(_path(endpoint_id) + "/enable"))


@admin_command(app, "disable")
def disable_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Stop deliveries."""
    api.show(api.post(_path(endpoint_id) + "/disable"))


@admin_command(app, "verify")
def verify_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Send the receiver a new challenge.

    Deliveries wait until it has answered.
    """
    api.show(api.post(_path(endpoint_id) + "/verify"))


@admin_command(app, "test")
def test_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Send a test event."""
    api.show(api.post(_path(endpoint_id) + "/test"))


@admin_command(app, "secret")
def show_secret(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Show the signing secret.

    The public key is shown as well if there is one.
    """
    api.show(api.get(_path(endpoint_id) + "/secret"))


@admin_command(app, "rotate-secret")
def rotate_secret(
    api: AdminApi,
    endpoint_id: EndpointId,
    grace_seconds: Annotated[
        int | None, typer.Option(help="How long the old secret is still used as well.")
    ] = None,
    secret: Secret = None,
) -> None:
    """Sign with a new secret."""
    body = given(grace_seconds=grace_seconds, secret=secret)
    api.show(api.post(_path(endpoint_id) + "/rotate-secret", body))


def _path(endpoint_id: str) -> str:
    return f"{PATH}/{quoted(endpoint_id)}"


def _pairs(texts: Texts, separator: str, option: str) -> dict[str, str]:
    """Return pairs of names and values; no error quotes them, because a header may be a credential."""
    pairs: dict[str, str] = {}
    for text in texts or []:
        name, found, value = text.partition(separator)
        if not found or not name.strip():
            raise typer.BadParameter(f"write name{separator}value", param_hint=option)
        pairs[name.strip()] = value.strip()
    return pairs


def _cleared(names: list[str]) -> dict[str, object]:
    if unknown := sorted(set(names) - EMPTY.keys()):
        raise typer.BadParameter(
            f"{', '.join(unknown)}: only {', '.join(EMPTY)} can be cleared", param_hint="--clear"
        )
    return {name: EMPTY[name] for name in names}
