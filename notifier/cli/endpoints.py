"""``endpoints …``."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

from notifier.cli.admin import AdminApi, Cursor, Limit, admin_command, given, quoted

app = typer.Typer(help="The receivers: their URLs, secrets, filters and state.", no_args_is_help=True)

PATH: Final = "/v1/endpoints"
COLUMNS: Final = ("id", "url", "status", "event_types", "health.pending", "health.last_failure_reason")

EndpointId: TypeAlias = Annotated[str, typer.Argument(metavar="ENDPOINT_ID")]
Texts: TypeAlias = list[str] | None


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
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    event_type: Annotated[Texts, typer.Option(help="A type, space.* or *; may be repeated.")] = None,
    space_id: Annotated[Texts, typer.Option(help="Only this Space; may be repeated.")] = None,
    creator_id: Annotated[Texts, typer.Option(help="Only Spaces of this user; may be repeated.")] = None,
    watch_id: Annotated[Texts, typer.Option(help="Only by this watch; may be repeated.")] = None,
    language: Annotated[Texts, typer.Option(help="Only Spaces in this language; may be repeated.")] = None,
    payload: Annotated[str | None, typer.Option(help="full or thin.")] = None,
    body_format: Annotated[str | None, typer.Option("--format", help="standard or cloudevents.")] = None,
    signing: Annotated[str | None, typer.Option(help="hmac or ed25519.")] = None,
    verify: Annotated[
        str | None, typer.Option(help="challenge: deliver nothing before the receiver has answered one.")
    ] = None,
    ordering: Annotated[str | None, typer.Option(help="space or none.")] = None,
    max_concurrency: Annotated[int | None, typer.Option(help="Attempts at once.")] = None,
    rate_limit_per_second: Annotated[float | None, typer.Option(help="Attempts in a second.")] = None,
) -> None:
    """Add an endpoint; the answer shows its secret."""
    filters = given(space_ids=space_id, creator_ids=creator_id, watch_ids=watch_id, languages=language)
    body = given(
        url=url,
        description=description,
        event_types=event_type,
        filters=filters,
        payload=payload,
        format=body_format,
        signing=signing,
        verify=verify,
        ordering=ordering,
        max_concurrency=max_concurrency,
        rate_limit_per_second=rate_limit_per_second,
    )
    api.show(api.post(PATH, body))


@admin_command(app, "delete")
def delete_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Remove an endpoint; what is still owed to it is discarded."""
    api.delete(_path(endpoint_id))


@admin_command(app, "enable")
def enable_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Let deliveries go out again."""
    api.show(api.post(_path(endpoint_id) + "/enable"))


@admin_command(app, "disable")
def disable_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Hold deliveries back."""
    api.show(api.post(_path(endpoint_id) + "/disable"))


@admin_command(app, "verify")
def verify_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Challenge the receiver anew; deliveries wait until it has answered."""
    api.show(api.post(_path(endpoint_id) + "/verify"))


@admin_command(app, "test")
def test_endpoint(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Send a test event."""
    api.show(api.post(_path(endpoint_id) + "/test"))


@admin_command(app, "secret")
def show_secret(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Show the secret that signs, and the public key, if any, that verifies."""
    api.show(api.get(_path(endpoint_id) + "/secret"))


@admin_command(app, "rotate-secret")
def rotate_secret(
    api: AdminApi,
    endpoint_id: EndpointId,
    grace_seconds: Annotated[
        int | None, typer.Option(help="How long the old secret goes on signing.")
    ] = None,
) -> None:
    """Sign with a new secret."""
    api.show(api.post(_path(endpoint_id) + "/rotate-secret", given(grace_seconds=grace_seconds)))


def _path(endpoint_id: str) -> str:
    return f"{PATH}/{quoted(endpoint_id)}"
