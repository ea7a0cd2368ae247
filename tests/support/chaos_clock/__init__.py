"""Steps the wall clock of a worker: the folder goes into its ``PYTHONPATH``."""

from __future__ import annotations

import struct
from typing import Final

OFFSET_VARIABLE: Final = "CHAOS_CLOCK_OFFSET_FILE"
OFFSET: Final = struct.Struct("d")
"""What the file holds: how many seconds the clock is ahead of the machine's."""
