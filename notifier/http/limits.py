"""What one client may take from the server: of time, of room, and of connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_URL_BYTES: Final = 8_190
MAX_HEADER_BYTES: Final = 16_380
"""Of one header. Not the same as for URLs: by the limit the parser says which of the two was broken."""

MAX_HEADERS: Final = 128

MAX_BODY_BYTES: Final = 64 * 1024
"""As sent, and as unpacked."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How long a connection may keep the server waiting, in seconds, and how many there may be.

    Attributes:
        head: From the opening of a connection, or the first byte of a later request, to the headers' end.
        body: From there to the end of the body.
        idle: Between two requests.
        answer: Until the client has taken an answer.
        linger: How long what a refused client still sends is discarded, so that it can read why.
        connections: At one time. One more replaces the oldest one without a request in progress.
    """

    head: float = 15.0
    body: float = 30.0
    idle: float = 75.0
    answer: float = 60.0
    linger: float = 3.0
    connections: int = 500
