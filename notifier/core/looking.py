"""What is asked next: which of the looks that are due, or due soon, share one request (spec: cadence)."""

from __future__ import annotations

from enum import StrEnum


class Urgency(StrEnum):
    """How much a look loses by waiting."""

    URGENT = "urgent"  # something happens there now: live, about to start, in doubt, asked for by somebody
    PATIENT = "patient"  # the rest: discovery, what is planned for later, what is over
