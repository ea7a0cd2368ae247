"""``source``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import typer

from notifier.cli.admin import AdminApi, Columns, admin_command, flat

app = typer.Typer()

PATH: Final = "/v1/source"

TABLES: Final[Mapping[str, Columns]] = {
    "troubles": ("kind", "since", "detail"),
    "requests": ("calls", "limit", "remaining", "resets_at"),
    "looks": ("call", "waiting", "due", "under_way", "next_at", "paused_until"),
    "unanswered": ("call", "subject", "since", "next_at", "reason"),
    "refused": ("call", "parameter", "values", "until"),
}
"""The lists in the answer, and the columns to show for each."""


@admin_command(app, "source")
def show_source(api: AdminApi) -> None:
    """Show the health of X.

    Also the remaining requests, the cost, and the polling delay.
    """
    source = api.get(PATH)
    if api.as_json:
        api.show(source)
        return
    api.show(flat({name: value for name, value in source.items() if name not in TABLES}))
    for name, columns in TABLES.items():
        if source[name]:
            typer.echo(f"\n{name}")
            api.show_page({"data": source[name]}, columns)
