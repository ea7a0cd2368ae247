"""The timeline as a pure function: the state at X for a scenario and an offset.

Offsets are seconds of the scenario since its start. There is no clock here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from notifier.simulator.scenario import Absence
from notifier.simulator.times import RelativeTime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from notifier.simulator.asked import Asked
    from notifier.simulator.fault import Fault
    from notifier.simulator.scenario import FieldValue, Scenario, ScriptedSpace, TimelineEntry


@dataclass(frozen=True, slots=True)
class Scene:
    """The state at X at one second of the scenario.

    Attributes:
        spaces: The visible Spaces by id, in the order of the scenario.
        suspended: The ids of the accounts that are suspended.
        protected: The ids of the accounts that only followers may see.
        withheld: The Spaces that X neither shows nor reports missing, and how it leaves out each.
    """

    spaces: Mapping[str, SpaceState]
    suspended: frozenset[str] = frozenset()
    protected: frozenset[str] = frozenset()
    withheld: Mapping[str, Absence] = field(default_factory=dict)

    def without(self, space_ids: Iterable[str], absence: Absence) -> Scene:
        """Return the scene in which X leaves out the named Spaces."""
        absent = {each for each in space_ids if each in self.spaces}
        spaces = {each: space for each, space in self.spaces.items() if each not in absent}
        newly_withheld = absent if absence is not Absence.GONE else set()
        return replace(
            self, spaces=spaces, withheld={**self.withheld, **dict.fromkeys(newly_withheld, absence)}
        )


@dataclass(frozen=True, slots=True)
class SpaceState:
    """A Space at one second of the scenario; ``fields`` has only known values, always including ``state``."""

    id: str
    creator_id: str
    fields: Mapping[str, FieldValue]

    @property
    def state(self) -> str:
        """The state, as the scenario has it."""
        return str(self.fields["state"])


def scene_at(scenario: Scenario, offset: float) -> Scene:
    """Return the state at X at ``offset``."""
    return Scene(
        spaces=spaces_at(scenario, offset),
        suspended=frozenset(
            user.id
            for user in scenario.users
            if user.suspended_at is not None and user.suspended_at <= offset
        ),
        protected=frozenset(
            user.id
            for user in scenario.users
            if user.protected_at is not None and user.protected_at <= offset
        ),
        withheld=dict(_withheld_at(scenario, offset)),
    )


def spaces_at(scenario: Scenario, offset: float) -> dict[str, SpaceState]:
    """Return the visible Spaces at ``offset``, by id, in the order of the scenario."""
    states = (_space_at(script, offset) for script in scenario.spaces)
    return {space.id: space for space in states if space is not None and not scenario.x.hides(space.state)}


def active_fault(scenario: Scenario, offset: float, asked: Asked) -> Fault | None:
    """Return the fault that affects a request at ``offset``; of several, the first in the scenario."""
    return next((fault for fault in scenario.faults if fault.is_on(offset) and fault.affects(asked)), None)


def _past(script: ScriptedSpace, offset: float) -> list[TimelineEntry]:
    return [entry for entry in script.timeline if entry.at <= offset]


def _withheld_at(scenario: Scenario, offset: float) -> Iterator[tuple[str, Absence]]:
    for script in scenario.spaces:
        past = _past(script, offset)
        absence = past[-1].absence if past else None
        if absence is not None and absence is not Absence.GONE:
            yield script.id, absence


def _space_at(script: ScriptedSpace, offset: float) -> SpaceState | None:
    past = _past(script, offset)
    if not past or past[-1].absence is not None:
        return None
    fields: dict[str, FieldValue | None] = {"created_at": RelativeTime(script.timeline[0].at)}
    for entry in past:
        if entry.change is not None:
            fields |= entry.change.values
    known = {name: value for name, value in fields.items() if value is not None}
    return SpaceState(id=script.id, creator_id=script.creator_id, fields=known)
