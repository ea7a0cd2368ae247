"""The pace that a receiver allows: the figures by which it is learned.

A receiver that answers 429, or 503 with ``Retry-After``, is well and asks for less. It gets a pause, and then
one delivery at a time until one is taken. From there on a rate and a concurrency grow with each success and
are cut when it refuses again: additive increase, multiplicative decrease. What has been learned is kept
beside the endpoint's queue and changed by ``store/lua/lib/pace.lua``. The law is written down in
docs/delivery.md ("The pace") and docs/architecture.md ("The pace of an endpoint").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

FIRST_CONCURRENCY: Final = 2
"""How many may be in flight at once to a receiver of which nothing is known. Each success allows one more, so
that the number doubles with every round."""


@dataclass(frozen=True, slots=True)
class PaceLaw:
    """The figures of the law. Times are milliseconds, rates are deliveries a second.

    Attributes:
        pause: After a refusal that names no time.
        asked_share: While nothing is taken, a pause lasts for at least this share of the time since the first
            refusal, where the receiver names a shorter one. So the last pause ends soon after the receiver is
            back, and one that refuses for hours is asked ever more rarely.
        unasked_share: The same where the receiver names none.
        longest_pause: What these shares grow to.
        idle: After so long without a success a refusal says that the receiver is closed, not that it was sent
            too much.
        memory: Accepted deliveries are counted over at most this many milliseconds.
        enough: From this number of deliveries on, that count sets the rate; below, it is found by trying.
        calm: How many successes it takes at least from just below the last refusal to just above it.
        calm_pauses: The same time at least, in pauses: a pause costs no more than a tenth of the deliveries.
        trusted: Where less than this share of the refused rate was taken, the refused rate was far too high,
            and so is what lies just below it.
        early_cuts: What remains of the rate after the first, second … refusal in a row that came before there
            was enough to count.
        concurrency_cut: What remains of the concurrency, at most.
        start: By how much each success raises a rate that has not been refused yet.
        approach: What each success leaves of the distance to ``near``.
        near: The share of the refused value that is approached quickly.
        past: The share that is reached after ``calm`` successes.
        free: From this share on the receiver allows more than it did,
        climb: and each success raises the value by this factor.
        fastest: A rate beyond this is no limit.
        slowest: No rate is below this.
        forget: After so long without a refusal what was learned is forgotten.
    """

    pause: float = 500.0
    asked_share: float = 0.1
    unasked_share: float = 0.25
    longest_pause: float = 3_600_000.0
    idle: float = 5_000.0
    memory: float = 20_000.0
    enough: int = 10
    calm: int = 40
    calm_pauses: float = 10.0
    trusted: float = 0.7
    early_cuts: tuple[float, ...] = (0.9, 0.7, 0.5)
    concurrency_cut: float = 0.85
    start: float = 1.25
    approach: float = 0.875
    near: float = 0.95
    past: float = 1.05
    free: float = 1.1
    climb: float = 1.03
    fastest: float = 1_000.0
    slowest: float = 1 / 60
    forget: float = 600_000.0

    def as_dict(self) -> dict[str, float | Sequence[float]]:
        """Return the figures by name, as the script reads them."""
        return asdict(self)


PACE_LAW: Final = PaceLaw()
