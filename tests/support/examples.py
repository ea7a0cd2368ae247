"""The number of examples in property tests: few by default, many with the profile ``thorough``."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

USUAL: Final = 40
THOROUGH: Final = 1000


def register_profiles() -> None:
    """Register the profiles and load the usual one; neither has a deadline."""
    settings.register_profile("usual", deadline=None, max_examples=USUAL)
    settings.register_profile("thorough", deadline=None, max_examples=THOROUGH)
    settings.load_profile("usual")


def examples(usual: int) -> int:
    """Return the number of examples for an expensive test: ``usual``, scaled by the profile."""
    return usual * settings().max_examples // USUAL
