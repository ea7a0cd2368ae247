"""The command line.

The command modules import only typer; a command imports what else it needs when it runs, so that the help and
small commands start quickly.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from notifier import __version__
from notifier.cli.console import UNUSABLE, report
from notifier.cli.deliveries import app as deliveries
from notifier.cli.doctor import doctor
from notifier.cli.endpoints import app as endpoints
from notifier.cli.events import app as events
from notifier.cli.master_key import rotate_master_key
from notifier.cli.receiving import listen
from notifier.cli.recoveries import app as recoveries
from notifier.cli.running import api, demo, simulate, up, worker
from notifier.cli.signing import sign, verify
from notifier.cli.source import app as source
from notifier.cli.system import app as system
from notifier.cli.watches import app as watches
from notifier.errors import NotifierError

app = typer.Typer(
    name="space-notifier",
    help="Watches X Spaces and sends every change that matters to webhooks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # loading rich takes longer than all else that a help text needs
)
for command in (up, api, worker, simulate, listen, sign, verify, demo, doctor):
    app.command()(command)
app.command("rotate-master-key")(rotate_master_key)
endpoints.add_typer(recoveries)
for name, group in (
    ("watches", watches),
    ("endpoints", endpoints),
    ("events", events),
    ("deliveries", deliveries),
):
    app.add_typer(group, name=name)
app.add_typer(source)
app.add_typer(system)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"space-notifier {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command; a known error prints one line and exits with code 2."""
    try:
        app()
    except NotifierError as error:
        report(error.message)
        sys.exit(UNUSABLE)
