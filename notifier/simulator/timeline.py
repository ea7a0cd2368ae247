"""The play as a pure function: a scenario and an offset give what stands at X at that second.

Offsets are seconds of the play since its start. Nothing here knows a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from notifier.simulator.times import RelativeTime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notifier.simulator.scenario import Call, Fault, FieldValue, Scenario, ScriptedSpace


@dataclass(frozen=True, slots=True)
class Scene:
    """What stands at X at one second of the play.

    Attributes:
        spaces: Those that are found, by id, in the order of the scenario.
        suspended: The ids of the accounts that are suspended.
    """

    spaces: Mapping[str, PlayedSpace]
    suspended: frozenset[str]


@dataclass(frozen=True, slots=True)
class PlayedSpace:
    """A Space at one second of the play; ``fields`` has only what X knows then, always with ``state``."""

    id: str
    creator_id: str
    fields: Mapping[str, FieldValue]

    @property
    def state(self) -> str:
        """X's word for the phase, as the scenario wrote it."""
        return str(self.fields["state"])


def scene_at(scenario: Scenario, offset: float) -> Scene:
    """Everything that stands at X at ``offset``."""
    suspended = (
        user.id for user in scenario.users if user.suspended_at is not None and user.suspended_at <= offset
    )
    return Scene(spaces_at(scenario, offset), frozenset(suspended))


def spaces_at(scenario: Scenario, offset: float) -> dict[str, PlayedSpace]:
    """The Spaces that are found at ``offset``, by id, in the order of the scenario."""
    played = (_space_at(script, offset) for script in scenario.spaces)
    return {space.id: space for space in played if space is not None and not scenario.x.hides(space.state)}


def active_fault(scenario: Scenario, offset: float, call: Call) -> Fault | None:
    """The fault that strikes ``call`` at ``offset``; of several, the one that the scenario lists first."""
    return next(
        (fault for fault in scenario.faults if fault.at <= offset < fault.until and call in fault.calls), None
    )


def _space_at(script: ScriptedSpace, offset: float) -> PlayedSpace | None:
    past = [entry for entry in script.timeline if entry.at <= offset]
    if not past or past[-1].gone:
        return None
    fields: dict[str, FieldValue | None] = {"created_at": RelativeTime(script.timeline[0].at)}
    for entry in past:
        if entry.change is not None:
            fields |= entry.change.values
    known = {name: value for name, value in fields.items() if value is not None}
    return PlayedSpace(id=script.id, creator_id=script.creator_id, fields=known)
