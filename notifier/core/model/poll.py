"""Polls: questions that are due to be asked of X, and when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Urgency(StrEnum):
    """How urgent a poll is."""

    URGENT = "urgent"  # something is happening: live, about to start, in doubt, or requested by a user
    PATIENT = "patient"  # the rest: discovery, Spaces planned for later, Spaces that are over


@dataclass(frozen=True, slots=True)
class DuePoll:
    """One subject (a Space, a creator, a watch) and the epoch second at which its poll is due."""

    subject: str
    at: float
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class NextPoll:
    """When to poll again, in epoch seconds, and how urgent that poll is."""

    at: float
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds between two polls, by subject."""

    discovery: float = 60.0
    near: float = 10.0
    live: float = 30.0
    scheduled: float = 600.0
    near_window: float = 600.0
