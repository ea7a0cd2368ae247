"""``endpoints recover …`` and ``endpoints stats``: what an endpoint missed, and its statistics."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from notifier.cli.admin import AdminApi, Cursor, Limit, admin_command, given, quoted
from notifier.cli.endpoints import PATH, EndpointId

app = typer.Typer()

COLUMNS: Final = ("id", "status", "since", "until", "count", "considered", "queued", "skipped", "reason")


@admin_command(app, "recover")
def recover(
    api: AdminApi,
    endpoint_id: EndpointId,
    *,
    since: Annotated[str, typer.Option(help="The start, like 2026-08-07T12:00:00Z.")],
    until: Annotated[str | None, typer.Option(help="The end; now if not given.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
) -> None:
    """Send an endpoint everything that it missed."""
    body = given(since=since, until=until, dry_run=dry_run or None)
    api.show(api.post(f"{PATH}/{quoted(endpoint_id)}/recover", body))


@admin_command(app, "recoveries")
def list_recoveries(api: AdminApi, endpoint_id: EndpointId, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the recoveries of an endpoint, the newest first."""
    api.show_page(api.get(f"{PATH}/{quoted(endpoint_id)}/recoveries", limit=limit, cursor=cursor), COLUMNS)


@admin_command(app, "cancel-recovery")
def cancel_recovery(
    api: AdminApi,
    endpoint_id: EndpointId,
    recovery_id: Annotated[str, typer.Argument(metavar="RECOVERY_ID")],
) -> None:
    """Cancel a recovery.

    Deliveries that it has queued are still sent.
    """
    api.show(api.post(f"{PATH}/{quoted(endpoint_id)}/recoveries/{quoted(recovery_id)}/cancel"))


@admin_command(app, "stats")
def show_stats(api: AdminApi, endpoint_id: EndpointId) -> None:
    """Show the delivery statistics of an endpoint."""
    api.show(api.get(f"{PATH}/{quoted(endpoint_id)}/stats"))
