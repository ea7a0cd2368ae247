"""Reading query parameters as strictly as X does, and collecting the refusals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from notifier.simulator.problems import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multidict import MultiMapping

MAX_IDS = 100


class ParameterReader:
    """The parameters of one request; call ``refusals()`` after everything was read.

    A refused parameter reads as its default, so that all errors of a request are found at once.
    """

    def __init__(self, query: MultiMapping[str]) -> None:
        self._query = query
        self._known: list[str] = []
        self._refusals: list[Refusal] = []

    def ids(self, name: str, pattern: str) -> tuple[str, ...]:
        """Return a required list of 1 to 100 values that all match ``pattern``, each once, in order."""
        values = self._list(name)
        if not values:
            self._refuse(name, (), f"The `{name}` query parameter can not be empty")
        elif len(values) > MAX_IDS:
            message = f"The number of values in the `{name}` query parameter list [{len(values)}]"
            self._refuse(name, values, f"{message} is not between 1 and {MAX_IDS}")
        else:
            for value in values:
                self.matching(name, value, pattern)
        return tuple(dict.fromkeys(values))

    def matching(self, name: str, value: str, pattern: str) -> str:
        """Return ``value`` from the query or the path, refusing it if it does not match ``pattern``."""
        if not re.fullmatch(pattern, value):
            message = f"The `{name}` query parameter value [{value}] does not match {pattern}"
            self._refuse(name, (value,), message)
        return value

    def choices(self, name: str, allowed: Sequence[str]) -> frozenset[str]:
        """Return an optional list of words from ``allowed``."""
        values = self._list(name)
        for value in values:
            self._require_one_of(name, value, allowed)
        return frozenset(values)

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """Return one optional word from ``allowed``."""
        self._known.append(name)
        value = self._query.get(name, default)
        self._require_one_of(name, value, allowed)
        return value

    def text(self, name: str, max_length: int) -> str:
        """Return a required text of 1 to ``max_length`` characters that is not blank."""
        self._known.append(name)
        value = self._query.get(name, "")
        if not value.strip():
            self._refuse(name, (), f"The `{name}` query parameter can not be empty")
        elif len(value) > max_length:
            message = f"The `{name}` query parameter has {len(value)} characters, more than {max_length}"
            self._refuse(name, (value,), message)
        return value

    def number(self, name: str, least: int, most: int) -> int:
        """Return an optional integer from ``least`` to ``most``, which is also the default."""
        self._known.append(name)
        value = self._query.get(name, str(most))
        if re.fullmatch(r"[0-9]{1,9}", value) and least <= int(value) <= most:
            return int(value)
        message = f"The `{name}` query parameter value [{value}] is not between {least} and {most}"
        self._refuse(name, (value,), message)
        return most

    def refusals(self) -> list[Refusal]:
        """Return what was refused so far, and every parameter that was not read."""
        known = ",".join(sorted(self._known))
        unread = [name for name in dict.fromkeys(self._query) if name not in self._known]
        return self._refusals + [
            Refusal(
                name,
                tuple(self._query.getall(name)),
                f"The query parameter [{name}] is not one of [{known}]",
            )
            for name in unread
        ]

    def _list(self, name: str) -> tuple[str, ...]:
        """Return comma-separated values; the parameter may also be repeated, as in the older contract."""
        self._known.append(name)
        joined = ",".join(self._query.getall(name, ()))
        return tuple(joined.split(",")) if joined else ()

    def _require_one_of(self, name: str, value: str, allowed: Sequence[str]) -> None:
        if value not in allowed:
            listed = ",".join(allowed)
            message = f"The `{name}` query parameter value [{value}] is not one of [{listed}]"
            self._refuse(name, (value,), message)

    def _refuse(self, name: str, values: tuple[str, ...], message: str) -> None:
        self._refusals.append(Refusal(name, values, message))
