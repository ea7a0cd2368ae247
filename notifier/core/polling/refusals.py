"""Parameters that X does not accept in a call: a field, an expansion, an option.

X removes fields and brings them back, and sometimes refuses one by mistake. So once X has refused a value in
a call, it is left out there for an hour and then requested again: another 400 renews the refusal, an answer
ends it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from notifier.core.model.observation import Call

REFUSED_FOR_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """One value of a parameter that X refused in one call; it is left out until this epoch second."""

    call: Call
    parameter: str
    value: str
    until: float

    @property
    def what(self) -> tuple[Call, str, str]:
        """What is refused, regardless of when."""
        return self.call, self.parameter, self.value


@dataclass(frozen=True, slots=True)
class Refusals:
    """Everything that X refused and has not accepted since, in order; no value of a call twice."""

    all: tuple[Refusal, ...] = ()

    def current(self, now: float) -> tuple[Refusal, ...]:
        """Return what is left out at a given time."""
        return tuple(each for each in self.all if each.until > now)

    def without(
        self, call: Call, asked: Mapping[str, tuple[str, ...]], *, now: float
    ) -> dict[str, tuple[str, ...]]:
        """Return the parameters of a call without refused values, and without parameters left empty."""
        refused = {each.what for each in self.current(now)}
        kept = {
            name: tuple(value for value in values if (call, name, value) not in refused)
            for name, values in asked.items()
        }
        return {name: values for name, values in kept.items() if values}

    def refuse(self, call: Call, values: Mapping[str, Collection[str]], *, now: float) -> Refusals:
        """Return the refusals after a 400 that named values of a call's parameters."""
        until = now + REFUSED_FOR_SECONDS
        named = {(call, name, value) for name, value in _pairs(values)}
        return self._of({**self._until(), **dict.fromkeys(named, until)})

    def accept(self, call: Call, asked: Mapping[str, Collection[str]]) -> Refusals:
        """Return the refusals after an answer to a question with these values."""
        taken = {(call, name, value) for name, value in _pairs(asked)}
        return self._of({what: until for what, until in self._until().items() if what not in taken})

    def since(self, before: Refusals) -> tuple[Refusal, ...]:
        """Return what is refused now and was not before."""
        known = before._until()
        return tuple(each for each in self.all if each.what not in known)

    def _until(self) -> dict[tuple[Call, str, str], float]:
        return {each.what: each.until for each in self.all}

    def _of(self, until: Mapping[tuple[Call, str, str], float]) -> Refusals:
        return Refusals(tuple(sorted(Refusal(*what, moment) for what, moment in until.items())))


def _pairs(values: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, each in values.items() for value in each)
