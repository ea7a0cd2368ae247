"""Whether what an answer does not show is to be believed, judged before any of the answer is applied."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from notifier.core.model.ids import SpaceId
from notifier.core.model.observation import Call, Observation, Presence
from notifier.core.polling.health import after_cycle
from notifier.core.spaces.decide import PollContext
from notifier.core.spaces.vanishing import Vanished, is_blackout, is_mass_vanish, may_be_blackout
from notifier.store.source_health import Cycle
from workers.context import Worker
from workers.health import note_health

NOT_SHOWN = (Presence.NOT_FOUND, Presence.INACCESSIBLE)


async def circumstances(worker: Worker, observation: Observation) -> PollContext:
    """Judge what an answer did not show together with all other late polls, before any of it is applied."""
    store, now = worker.runtime.store, observation.answered_at
    if observation.question.call is not Call.LOOKUP:
        # Only a lookup says of every Space that it asks about whether it is there.
        health, _ = await store.health.read()
        return PollContext(degraded=health.hides_spaces)
    presences = {
        SpaceId(each): observation.evidence(SpaceId(each)).presence
        for each in (*observation.question.subjects, *observation.snapshots)
    }
    tracked = await store.spaces.read_many(
        [each for each, presence in presences.items() if presence in (Presence.SEEN, *NOT_SHOWN)]
    )
    alive = [each for each, record in tracked.items() if record.known and not record.known.phase.is_over]
    found = [each for each in alive if presences[each] is Presence.SEEN]
    not_shown = [each for each in alive if presences[each] in NOT_SHOWN]
    cycle, (health, _) = await asyncio.gather(
        store.health.note_cycle(found, not_shown, now=now), store.health.read()
    )
    mass_vanish = await _is_mass_vanish(worker, cycle, now=now)
    if mass_vanish != (health.vanish_since is not None):
        await note_health(worker, partial(after_cycle, mass_vanish=mass_vanish, now=now))
    # This lookup was answered, so lookups do not fail.
    return PollContext(mass_vanish=mass_vanish, degraded=mass_vanish)


async def _is_mass_vanish(worker: Worker, cycle: Cycle, *, now: float) -> bool:
    """Return whether more vanished than is believed; of a few, whose they are has to be read first."""
    if is_mass_vanish(list(cycle.missing.values()), cycle.polled, now=now):
        return True
    if not may_be_blackout(len(cycle.missing), cycle.found):
        return False
    return is_blackout(await _vanished(worker, cycle.missing), now=now)


async def _vanished(worker: Worker, missing: Mapping[str, float]) -> list[Vanished]:
    tracked = await worker.runtime.store.spaces.read_many(list(missing))
    return [
        Vanished(missing[space_id], record.known.space.creator_id)
        for space_id, record in tracked.items()
        if record.known is not None
    ]
