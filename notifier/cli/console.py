"""Terminal output: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

FAILED: Final = 1
"""The exit code of a command that failed or was refused."""

UNUSABLE: Final = 2
"""The exit code of a command that could not run: a bad setting, option or file."""

UNLIMITED_WIDTH: Final = 100_000
JOINER: Final = "\N{ZERO WIDTH JOINER}"
"""Not printable itself, but part of many emoji."""


def output() -> Console:
    """Return the console for results; outside a terminal no line is folded or cut."""
    from rich.console import Console  # noqa: PLC0415 - an error message needs none of it

    return Console(highlight=False, width=None if sys.stdout.isatty() else UNLIMITED_WIDTH)


def printable(text: str) -> str:
    """Return ``text`` without control characters: texts on X come from anyone."""
    return "".join(
        character if character.isprintable() or character == JOINER else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def report(message: str) -> None:
    """Print one line on standard error."""
    line = printable(" ".join(message.split()))
    sys.stderr.write(f"space-notifier: {line}\n")


def fail(message: str) -> NoReturn:
    """Print one line on standard error and end with exit code 1."""
    report(message)
    raise typer.Exit(FAILED)
