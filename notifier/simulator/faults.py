"""The handler of each kind of fault."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from notifier.simulator import distortions, failures
from notifier.simulator.fault import FaultKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notifier.simulator.faulted_request import Handler

FAULTS: Final[Mapping[FaultKind, Handler]] = MappingProxyType(
    {
        FaultKind.UNAVAILABLE: failures.unavailable,
        FaultKind.RATE_LIMITED: failures.rate_limited,
        FaultKind.UNAUTHORIZED: failures.unauthorized,
        FaultKind.FORBIDDEN: failures.forbidden,
        FaultKind.CREDITS_DEPLETED: failures.out_of_credits,
        FaultKind.USAGE_CAPPED: failures.capped,
        FaultKind.REFUSED: failures.refused,
        FaultKind.HTML: failures.html,
        FaultKind.TRUNCATED: failures.truncated,
        FaultKind.INNER_ERROR: failures.inner_error,
        FaultKind.RESET: failures.reset,
        FaultKind.SLOW: distortions.slow,
        FaultKind.STALE: distortions.stale,
        FaultKind.VANISH_ALL: distortions.vanish_all,
        FaultKind.VANISH: distortions.vanish,
        FaultKind.INACCESSIBLE: distortions.inaccessible,
        FaultKind.LEFT_OUT: distortions.left_out,
        FaultKind.NULLS: distortions.nulls,
        FaultKind.TWINS: distortions.twins,
    }
)
