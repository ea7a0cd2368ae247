"""``events …``."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from notifier.cli.admin import AdminApi, Cursor, Limit, admin_command, quoted

app = typer.Typer(help="The event log.", no_args_is_help=True)

PATH: Final = "/v1/events"
COLUMNS: Final = ("id", "timestamp", "type", "data.sequence", "data.space.id", "data.space.title")


@admin_command(app, "list")
def list_events(
    api: AdminApi,
    *,
    event_type: Annotated[str | None, typer.Option("--type", help="Only this type.")] = None,
    space_id: Annotated[str | None, typer.Option(help="Only this Space.")] = None,
    after: Annotated[
        str | None,
        typer.Option(help="Only events after this event id or cursor, oldest first; 0: from the start."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List events, the newest first."""
    page = api.get(PATH, type=event_type, space_id=space_id, after=after, limit=limit, cursor=cursor)
    api.show_page(page, COLUMNS, next_by="--cursor" if after is None else "--after")


@admin_command(app, "get")
def get_event(api: AdminApi, event_id: Annotated[str, typer.Argument(metavar="EVENT_ID")]) -> None:
    """Show one event."""
    api.show(api.get(f"{PATH}/{quoted(event_id)}"))
