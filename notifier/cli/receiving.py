"""``listen``: a receiver for experiments."""
# ruff: noqa: PLC0415 - each command loads only what it needs

from __future__ import annotations

from typing import Annotated

import typer

from notifier.cli.signing import SECRET_VARIABLE


def listen(
    secret: Annotated[
        str,
        typer.Option(
            envvar=SECRET_VARIABLE, help="The endpoint's whsec_… secret, or its whpk_… or whsk_… key."
        ),
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 takes a free one.")
    ] = 9000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    status: Annotated[
        int, typer.Option(min=200, max=599, help="What to answer when the signature verifies.")
    ] = 204,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the bodies that verify, one per line.")
    ] = False,
) -> None:
    """Receive webhooks, verify and print each.

    Challenges are answered.
    """
    from notifier.cli.listener import run_listener
    from notifier.cli.serving import run_until_signal

    run_until_signal(run_listener(secret, host=host, port=port, status=status, as_json=as_json))
