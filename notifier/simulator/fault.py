"""A fault in a scenario file: when it is active, which requests it affects, and its options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from notifier.simulator.asked import Asked, Call, Parameter
from notifier.simulator.times import Duration

DEFAULT_DELAY_SECONDS: Final = 5.0
DEFAULT_LAG_SECONDS: Final = 30.0

Text = Annotated[str, Field(min_length=1)]


class FaultKind(StrEnum):
    """What can go wrong at X; ``notifier.simulator.faults`` says what each one does."""

    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    CREDITS_DEPLETED = "credits_depleted"
    USAGE_CAPPED = "usage_capped"
    REFUSED = "refused"
    HTML = "html"
    TRUNCATED = "truncated"
    INNER_ERROR = "inner_error"
    SLOW = "slow"
    RESET = "reset"
    STALE = "stale"
    VANISH_ALL = "vanish_all"
    VANISH = "vanish"
    INACCESSIBLE = "inaccessible"
    LEFT_OUT = "left_out"
    NULLS = "nulls"
    TWINS = "twins"


class Shape(StrEnum):
    """The body of a fault that has several; :data:`SHAPES` says which kind has which."""

    WINDOW = "window"
    LEGACY = "legacy"
    CODE = "code"
    PROBLEM = "problem"
    COUNT = "count"
    TOP = "top"


class Window(StrEnum):
    """Which window of requests is used up: 15 minutes, or the day of the app or of the user."""

    QUARTER = "quarter"
    DAY = "day"
    USER_DAY = "user_day"


class Naming(StrEnum):
    """How a 400 names what it refuses.

    ``parameters`` holds the refused values (``list``), the same in one text with commas (``text``), or
    everything that was sent in one text (``whole``); or only the ``message`` names the value, or there is
    ``none``.
    """

    LIST = "list"
    TEXT = "text"
    WHOLE = "whole"
    MESSAGE = "message"
    NONE = "none"


_OF_SPACES: Final = frozenset({FaultKind.VANISH, FaultKind.INACCESSIBLE, FaultKind.LEFT_OUT, FaultKind.TWINS})
"""The kinds that change what an answer says about single Spaces: their ``subjects`` are those Spaces."""

SHAPES: Final[Mapping[FaultKind, tuple[Shape, ...]]] = MappingProxyType(
    {
        FaultKind.RATE_LIMITED: (Shape.WINDOW, Shape.LEGACY),
        FaultKind.INNER_ERROR: (Shape.CODE, Shape.PROBLEM, Shape.COUNT, Shape.TOP),
    }
)
"""The bodies of each kind that has several, the default first."""

STATUSES: Final[Mapping[FaultKind, tuple[int, range]]] = MappingProxyType(
    {
        FaultKind.UNAVAILABLE: (503, range(500, 600)),
        FaultKind.CREDITS_DEPLETED: (402, range(400, 600)),
        FaultKind.USAGE_CAPPED: (429, range(400, 600)),
        FaultKind.HTML: (502, range(200, 600)),
    }
)
"""The default status of each kind that may have another one, and the allowed range."""

_WAITS: Final = frozenset({FaultKind.UNAVAILABLE, FaultKind.RATE_LIMITED, FaultKind.USAGE_CAPPED})
_TITLED: Final = frozenset({FaultKind.CREDITS_DEPLETED, FaultKind.USAGE_CAPPED})
_REFUSED: Final = frozenset({FaultKind.REFUSED})
_RATE_LIMITED: Final = frozenset({FaultKind.RATE_LIMITED})

FAULT_OPTIONS: Final[Mapping[str, frozenset[FaultKind]]] = MappingProxyType(
    {
        "delay": frozenset({FaultKind.SLOW}),
        "lag": frozenset({FaultKind.STALE}),
        "shape": frozenset(SHAPES),
        "status": frozenset(STATUSES),
        "title": _TITLED,
        "typed": _TITLED,
        "remaining": _RATE_LIMITED,
        "window": _RATE_LIMITED,
        "retry_after": _WAITS,
        "parameter": _REFUSED,
        "values": _REFUSED,
        "naming": _REFUSED,
    }
)
"""The options that only some kinds take."""

NEEDED_OPTIONS: Final[Mapping[FaultKind, str]] = MappingProxyType(
    {
        FaultKind.REFUSED: "parameter",
        FaultKind.VANISH: "subjects",
        FaultKind.INACCESSIBLE: "subjects",
        FaultKind.LEFT_OUT: "subjects",
    }
)
"""The option that a kind requires."""


class Fault(BaseModel):
    """From ``at``, for ``lasts`` seconds of the scenario, the named calls (default: all) fail.

    Attributes:
        every: Which requests of a call are affected: every n-th; 1 means all of them.
        subjects: The subjects whose requests are affected; none means any. For the kinds that change what is
            said about single Spaces, the ids of these Spaces.
        tokens: The bearer tokens whose requests are affected; none means any.
        delay: How many seconds of the scenario a slow answer takes.
        lag: How many seconds of the scenario a stale answer is old.
        remaining: How many requests the window of a 429 claims to have left.
        retry_after: How many seconds of the scenario a ``Retry-After`` asks for.
        typed: Whether a problem has a type.
        values: Which values of ``parameter`` are refused; none means everything that was sent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: Duration
    lasts: Duration = Field(alias="for")
    kind: FaultKind
    calls: Annotated[tuple[Call, ...], Field(min_length=1)] = tuple(Call)
    every: Annotated[int, Field(ge=1)] = 1
    subjects: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    tokens: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    delay: Duration = DEFAULT_DELAY_SECONDS
    lag: Duration = DEFAULT_LAG_SECONDS
    shape: Shape | None = None
    status: int | None = None
    title: Text | None = None
    typed: bool = True
    remaining: Annotated[int, Field(ge=0)] = 0
    window: Window = Window.QUARTER
    retry_after: Duration | None = None
    parameter: Parameter | None = None
    values: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    naming: Naming = Naming.LIST

    @property
    def until(self) -> float:
        """The second of the scenario at which the fault ends."""
        return self.at + self.lasts

    @property
    def body_shape(self) -> Shape:
        """The specified shape, or else the default of the kind."""
        return self.shape or SHAPES[self.kind][0]

    @property
    def http_status(self) -> int:
        """The specified status, or else the default of the kind."""
        return self.status or STATUSES[self.kind][0]

    def is_on(self, offset: float) -> bool:
        """Return whether the fault is active at a second of the scenario."""
        return self.at <= offset < self.until

    def affects(self, asked: Asked) -> bool:
        """Return whether the fault, while active, affects a request."""
        return (
            asked.call in self.calls
            and asked.number % self.every == 0
            and (self.tokens is None or asked.token in self.tokens)
            and (self.subjects is None or self.kind in _OF_SPACES or asked.concerns(self.subjects))
            and (self.parameter is None or bool(self.refused_of(asked)))
        )

    def refused_of(self, asked: Asked) -> tuple[str, ...]:
        """Return the values of ``parameter`` in a request that the fault refuses."""
        if self.parameter is None:
            return ()
        if self.values is None:
            return asked.parameters.get(self.parameter, ())
        return asked.sent(self.parameter, self.values)

    @model_validator(mode="after")
    def _options_belong_to_the_kind(self) -> Self:
        for name, kinds in FAULT_OPTIONS.items():
            if name in self.model_fields_set and self.kind not in kinds:
                takes = "kind {kinds} takes" if len(kinds) == 1 else "kinds {kinds} take"
                raise PydanticCustomError(
                    "fault", f"only {takes} {{name}}", {"kinds": _listed(sorted(kinds), "and"), "name": name}
                )
        needed = NEEDED_OPTIONS.get(self.kind)
        if needed is not None and getattr(self, needed) is None:
            raise PydanticCustomError(
                "fault", "kind {kind} needs {name}", {"kind": self.kind, "name": needed}
            )
        return self

    @model_validator(mode="after")
    def _choices_belong_to_the_kind(self) -> Self:
        shapes, (_, statuses) = SHAPES.get(self.kind, ()), STATUSES.get(self.kind, (0, range(0)))
        if self.shape is not None and self.shape not in shapes:
            raise PydanticCustomError(
                "fault",
                "kind {kind} takes shape {shapes}",
                {"kind": self.kind, "shapes": _listed(shapes, "or")},
            )
        if self.status is not None and self.status not in statuses:
            raise PydanticCustomError(
                "fault",
                "kind {kind} takes a status from {least} to {most}",
                {"kind": self.kind, "least": statuses.start, "most": statuses.stop - 1},
            )
        return self


def _listed(words: Iterable[str], conjunction: str) -> str:
    """Return ``a``, ``a or b`` or ``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else str(last)
