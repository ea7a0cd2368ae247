"""What was learned of the pace that a receiver allows, as ``lua/lib/pace.lua`` keeps it."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LearnedPace:
    """The part of it that decides when something goes out.

    Attributes:
        rate: Deliveries a second; None where the receiver has shown no limit.
        refusing: Since when, in ms by the server's clock, nothing was taken; None while deliveries are taken.
    """

    rate: float | None = None
    refusing: float | None = None

    @property
    def interval_ms(self) -> float:
        """How far apart two deliveries are sent; 0 for no limit."""
        if self.refusing is not None:
            return 1.0
        return 1000 / self.rate if self.rate else 0.0


def read_pace(text: str | None) -> LearnedPace:
    """Return what the field ``pace`` of a run record says; where it is empty, nothing was learned."""
    record = json.loads(text) if text else {}
    return LearnedPace(rate=record.get("rate"), refusing=record.get("refusing"))
