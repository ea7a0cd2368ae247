"""``watches …``."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

from notifier.cli.admin import AdminApi, Cursor, Limit, admin_command, given, quoted

app = typer.Typer(help="Watches: the creators, Spaces and searches to follow.", no_args_is_help=True)

PATH: Final = "/v1/watches"
COLUMNS: Final = ("id", "kind", "target", "status", "paused", "spaces", "label")

WatchId: TypeAlias = Annotated[str, typer.Argument(metavar="WATCH_ID")]


@admin_command(app, "list")
def list_watches(api: AdminApi, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the watches, the newest first."""
    api.show_page(api.get(PATH, limit=limit, cursor=cursor), COLUMNS)


@admin_command(app, "get")
def get_watch(api: AdminApi, watch_id: WatchId) -> None:
    """Show one watch."""
    api.show(api.get(_path(watch_id)))


@admin_command(app, "create")
def create_watch(
    api: AdminApi,
    kind: Annotated[str, typer.Argument(help="creator, space or search.")],
    target: Annotated[str, typer.Argument(help="A user id or @name, a Space id, or a search query.")],
    *,
    announce: Annotated[
        bool, typer.Option("--announce", help="Also send events about Spaces that already exist.")
    ] = False,
    role: Annotated[
        list[str] | None,
        typer.Option(help="For a creator: creator (default) or host; repeatable."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="For people.")] = None,
) -> None:
    """Add a watch."""
    on_first_sight = "announce" if announce else None
    body = given(kind=kind, target=target, on_first_sight=on_first_sight, roles=role or None, label=label)
    api.show(api.post(PATH, body))


@admin_command(app, "pause")
def pause_watch(api: AdminApi, watch_id: WatchId) -> None:
    """Pause polling."""
    api.show(api.patch(_path(watch_id), {"paused": True}))


@admin_command(app, "resume")
def resume_watch(api: AdminApi, watch_id: WatchId) -> None:
    """Resume polling."""
    api.show(api.patch(_path(watch_id), {"paused": False}))


@admin_command(app, "delete")
def delete_watch(api: AdminApi, watch_id: WatchId) -> None:
    """Delete a watch."""
    api.delete(_path(watch_id))


def _path(watch_id: str) -> str:
    return f"{PATH}/{quoted(watch_id)}"
