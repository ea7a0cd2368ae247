"""``system``."""

from __future__ import annotations

from typing import Final

import typer

from notifier.cli.admin import AdminApi, Columns, admin_command, flat

app = typer.Typer()

PATH: Final = "/v1/system"
TABLES: Final[dict[str, Columns]] = {
    "workers": ("id", "reported_at"),
    "warnings": ("severity", "name", "text", "remedy"),
}
"""The lists in the answer, and the columns to show for each."""


@admin_command(app, "system")
def show_system(api: AdminApi) -> None:
    """Show the version, workers, Redis and number of records."""
    system = api.get(PATH)
    if api.as_json:
        api.show(system)
        return
    api.show(flat(flat({name: value for name, value in system.items() if name not in TABLES})))
    for name, columns in TABLES.items():
        if system[name]:
            typer.echo(f"\n{name}")
            api.show_page({"data": system[name]}, columns)
