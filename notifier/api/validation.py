"""What pydantic refuses, in our words."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from notifier.errors import FieldError, InvalidInputError

PLAIN_WORDS: Final = {
    "missing": "is required",
    "tuple_type": "should be a list",
    "dict_type": "should be an object",
    "model_type": "should be an object",
    "too_short": "should have at least {min_length} items",
    "too_long": "should have at most {max_length} items",
}
"""For pydantic's kinds of errors whose own text speaks of Python."""


def invalid(
    place: str, error: ValidationError, hints: dict[str, str] | None = None, *, within: str | None = None
) -> InvalidInputError:
    """Convert pydantic's error into an InvalidInputError, without the refused values.

    Args:
        place: ``body`` or ``query``.
        error: What pydantic found.
        hints: For field names that a request does not take: what to do instead.
        within: The field whose inside was checked.
    """
    details = error.errors(include_url=False, include_input=False)
    start = (place,) if within is None else (place, within)
    fields = [FieldError((*start, *detail["loc"]), _text(dict(detail), hints or {})) for detail in details]
    summary = "; ".join(f"{'.'.join(map(str, field.loc[1:])) or place}: {field.msg}" for field in fields)
    return InvalidInputError(summary, *fields)


def _text(detail: dict[str, Any], hints: dict[str, str]) -> str:
    """Return what would be accepted."""
    if detail["type"] == "extra_forbidden":
        return hints.get(str(detail["loc"][0]), "there is no such field here; leave it out")
    if detail["type"] == "enum":
        return f"this version takes {detail['ctx']['expected']}"
    if detail["type"] in PLAIN_WORDS:
        return PLAIN_WORDS[detail["type"]].format(**detail.get("ctx", {}))
    return str(detail["msg"]).removeprefix("Value error, ").replace("Input should", "should", 1)
