"""The circuit breaker's figures: when a failing endpoint is paused, and when it is disabled.

While it is open, deliveries are put off and use up none of their attempts; one probe at a time finds out
whether the receiver is back. The state is kept beside the endpoint's queue (``store/lua/lib/breaker.lua``).
"""

from __future__ import annotations

from typing import Final

FAILURES_IN_A_ROW: Final = 10
"""After this many, the breaker opens."""

FIRST_PROBE_SECONDS: Final = 30.0
"""The wait before the first probe; each failed probe doubles it."""

LONGEST_PROBE_SECONDS: Final = 3600.0

GIVEN_UP_SECONDS: Final = 5 * 86_400.0
"""An endpoint that has only failed for this long is disabled."""

SILENCE_SECONDS: Final = 2 * 86_400.0
"""After so long without a failure the next one is the first: nothing is known of the time between them.

It has to be more than what may lie between two failures of one that is down all the while: the longest wait
of the retry schedule with its jitter, and the longest wait for a probe.
"""
