"""A clock that a test steps while a worker runs: this folder goes into the worker's ``PYTHONPATH``."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

OFFSET_VARIABLE: Final = "CHAOS_CLOCK_OFFSET_FILE"
OFFSET: Final = struct.Struct("d")
"""What the file holds: how many seconds the clock is ahead of the machine's."""


class SteppedClock:
    """The wall clock of a process that was started with ``variables``, to be set while it runs."""

    def __init__(self, offset_file: Path) -> None:
        self._offset_file = offset_file
        offset_file.write_bytes(OFFSET.pack(0.0))
        folder = Path(__file__).parent
        self.variables: Mapping[str, str] = {
            "PYTHONPATH": os.pathsep.join([str(folder), str(folder.parents[2])]),
            OFFSET_VARIABLE: str(offset_file),
        }

    def step(self, seconds: float) -> None:
        """Set the clock so many seconds ahead of the machine's."""
        with self._offset_file.open("r+b") as file:  # in place: the process has it mapped
            file.write(OFFSET.pack(seconds))
