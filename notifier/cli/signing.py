"""Signing and verifying by hand, for authors of receivers."""
# ruff: noqa: PLC0415 - each command loads only what it needs

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from notifier.cli.console import fail
from notifier.errors import BadRequestError, SignatureError

SECRET_VARIABLE: Final = "NOTIFIER_WEBHOOK_SECRET"  # noqa: S105  the name of a variable
FIVE_MINUTES: Final = 300.0

BodyFile: TypeAlias = Annotated[
    str, typer.Argument(metavar="[FILE|-]", help="The body; - is standard input.")
]
EventId: TypeAlias = Annotated[str, typer.Option("--id", help="The webhook-id.")]


def sign(
    secret: Annotated[str, typer.Option(envvar=SECRET_VARIABLE, help="whsec_… or, for ed25519, whsk_….")],
    event_id: EventId,
    timestamp: Annotated[int | None, typer.Option(min=0, help="Unix seconds; now if not given.")] = None,
    body: BodyFile = "-",
) -> None:
    """Print the three headers that sign a body."""
    from notifier.core.delivery import signing

    key = signing.parse_signing_key(secret)
    at = int(time.time()) if timestamp is None else timestamp
    signature = signing.sign([key], event_id, at, _read(body))
    typer.echo(f"webhook-id: {event_id}\nwebhook-timestamp: {at}\nwebhook-signature: {signature}")


def verify(
    *,
    secret: Annotated[
        str, typer.Option(envvar=SECRET_VARIABLE, help="whsec_… or, for ed25519, whpk_… or whsk_….")
    ],
    event_id: EventId,
    timestamp: Annotated[str, typer.Option(help="The webhook-timestamp.")],
    signature: Annotated[str, typer.Option(help="The webhook-signature.")],
    tolerance: Annotated[
        float, typer.Option(min=0, help="Seconds that the timestamp may differ from now.")
    ] = FIVE_MINUTES,
    body: BodyFile = "-",
) -> None:
    """Check a signature.

    If it does not verify, the reason is printed and the exit code is 1.
    """
    from notifier.core.delivery import signing

    headers = {"webhook-id": event_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    try:
        signing.verify(
            signing.verifying_secret(secret), headers, _read(body), now=time.time(), tolerance=tolerance
        )
    except SignatureError as error:
        fail(error.message)
    typer.echo("The signature verifies.")


def _read(source: str) -> bytes:
    """Return the bytes of a file or of standard input."""
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise BadRequestError(f"{source}: cannot be read: {error.strerror}") from None
