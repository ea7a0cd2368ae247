"""``source``."""

from __future__ import annotations

from typing import Final

import typer

from notifier.cli.admin import AdminApi, admin_command

app = typer.Typer()

PATH: Final = "/v1/source"


@admin_command(app, "source")
def show_source(api: AdminApi) -> None:
    """Show how X is doing, what may still be asked of it, what it costs, and how far behind we are."""
    api.show(api.get(PATH))
