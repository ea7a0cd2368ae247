"""Reasons that events state and that other rooms decide on."""

from __future__ import annotations

from enum import StrEnum

from notifier.core.model.problems import FailureKind


class OutageKind(StrEnum):
    """What is wrong with the source; the names are those of the failed calls."""

    UNAVAILABLE = FailureKind.UNAVAILABLE.value
    RATE_LIMITED = FailureKind.RATE_LIMITED.value
    USAGE_CAPPED = FailureKind.USAGE_CAPPED.value
    CREDITS_DEPLETED = FailureKind.CREDITS_DEPLETED.value
    UNAUTHORIZED = FailureKind.UNAUTHORIZED.value
    REFUSED = FailureKind.REFUSED.value
    MASS_VANISH = "mass_vanish"


class DisabledReason(StrEnum):
    """Why an endpoint is disabled."""

    BY_HAND = "by_hand"
    GONE = "gone"  # the receiver answered 410
    FAILING = "failing"  # nothing but failures for days
    NOT_VERIFIED = "not_verified"  # the receiver did not answer the challenge
