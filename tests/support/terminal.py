"""The command line against a running installation."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from notifier.cli import app
from tests.support.installation import KEY


class Terminal:
    """Runs commands against an installation; nothing here is a tty."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self._url = f"http://127.0.0.1:{port}"

    async def run(self, *arguments: str, exit_code: int = 0) -> str:
        """Run a command and return its output, or its error output if a failure is expected.

        It runs in this process, which is faster; tests/e2e/test_cli_start.py starts real processes.
        """
        result = await asyncio.to_thread(
            CliRunner().invoke,
            app,
            [*arguments, "--url", self._url],
            env={"NOTIFIER_ADMIN_KEY": KEY, "COLUMNS": "40"},
        )
        assert result.exit_code == exit_code, result.stderr or result.exc_info
        return result.stderr if exit_code else result.stdout

    async def json(self, *arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self.run(*arguments, "--json"))
        return answer
