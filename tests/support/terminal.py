"""The command line against a running installation."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

from tests.support.processes import measurement

KEY: Final = "a-key-for-tests"


class Terminal:
    """Runs commands against an installation; nothing here is a tty."""

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory
        self.port = port
        self._url = f"http://127.0.0.1:{port}"

    async def run(self, *arguments: str, exit_code: int = 0) -> str:
        """Run a command and give what it printed: the result, or on failure the complaint."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "notifier.cli",
            *arguments,
            "--url",
            self._url,
            cwd=self._directory,
            env={"NOTIFIER_ADMIN_KEY": KEY, "COLUMNS": "40"} | measurement(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complaint = await process.communicate()
        assert process.returncode == exit_code, complaint.decode()
        return (complaint if exit_code else printed).decode()

    async def json(self, *arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self.run(*arguments, "--json"))
        return answer
