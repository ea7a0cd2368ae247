"""Times in scenario files: durations (``1h30m``) and moments (``+20s`` or RFC 3339)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

_DURATION = re.compile(
    r"(?=[0-9])(?:([0-9]+(?:\.[0-9]+)?)h)?(?:([0-9]+(?:\.[0-9]+)?)m)?(?:([0-9]+(?:\.[0-9]+)?)s)?"
)
_UNITS = (3600.0, 60.0, 1.0)
_DURATION_HELP = "write a duration such as 5s, 1.5s, 2m or 1h30m"
_SHIFT_HELP = "write how far a clock is off, such as -5m or +1.5s"
_MOMENT_HELP = "write a time of the scenario such as +20s or -10s, or RFC 3339 such as 2021-07-06T18:40:40Z"


@dataclass(frozen=True, slots=True)
class RelativeTime:
    """A moment ``seconds`` after the start of the scenario; negative is before it."""

    seconds: float


Moment = RelativeTime | datetime


def parse_duration(text: object) -> float:
    """Return ``1h30m`` as 5400.0 seconds.

    A bare number is refused: YAML users differ on whether ``1:30`` and ``90`` mean minutes or seconds.

    Raises:
        PydanticCustomError: ``text`` is not hours, minutes and seconds in this order.
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise PydanticCustomError("duration", _DURATION_HELP)
    return sum(float(count) * unit for count, unit in zip(match.groups(), _UNITS, strict=True) if count)


def parse_shift(text: object) -> float:
    """Return ``-5m`` as -300.0 seconds; a number, which scenario files never contain, is in seconds.

    Raises:
        PydanticCustomError: ``text`` is not a duration after its sign.
    """
    if isinstance(text, int | float):
        return float(text)
    if not isinstance(text, str):
        raise PydanticCustomError("shift", _SHIFT_HELP)
    try:
        seconds = parse_duration(text[1:] if text[:1] in {"+", "-"} else text)
    except PydanticCustomError:
        raise PydanticCustomError("shift", _SHIFT_HELP) from None
    return -seconds if text.startswith("-") else seconds


def parse_moment(text: object) -> Moment:
    """Return ``+20s`` and ``-10s`` as relative to the start of the scenario, anything else as RFC 3339.

    Raises:
        PydanticCustomError: ``text`` is neither, or a timestamp without an offset.
    """
    if not isinstance(text, str):
        raise PydanticCustomError("moment", _MOMENT_HELP)
    if text[:1] in {"+", "-"}:
        return RelativeTime(float(f"{text[0]}{parse_duration(text[1:])}"))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("moment", _MOMENT_HELP) from None
    if moment.tzinfo is None:
        raise PydanticCustomError("moment", "add an offset to the timestamp, such as Z or +02:00")
    return moment


Duration = Annotated[float, PlainValidator(parse_duration)]
Shift = Annotated[float, PlainValidator(parse_shift)]
