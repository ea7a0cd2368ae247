"""How many examples the property tests try: few by default, many with ``--hypothesis-profile=thorough``."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

USUAL: Final = 40
THOROUGH: Final = 1000


def register_profiles() -> None:
    """Make the profiles known and load the usual one; no test depends on how fast the machine is."""
    settings.register_profile("usual", deadline=None, max_examples=USUAL)
    settings.register_profile("thorough", deadline=None, max_examples=THOROUGH)
    settings.load_profile("usual")


def examples(usual: int) -> int:
    """Return how many examples a costly test tries: ``usual``, or as many more as the profile says."""
    return usual * settings().max_examples // USUAL
