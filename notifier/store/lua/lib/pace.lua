-- The pace that a receiver allows, learned from its refusals (notifier/core/delivery/pacing.py; docs/architecture.md,
-- "The pace of an endpoint"). Included ahead of a script by its "-- include:" line, after lib/state.lua.
-- view.pace: rate (per s, nil = no limit), ceiling (the rate that was refused), most (the concurrency that was),
--            calm (successes from below a ceiling to above it), refusing (since when nothing was taken, nil = it
--            takes), cut_at (of the last cut), crowded and hasty (what the refusal was put down to: too many in
--            flight, too many a second), early (how many refusals in a row came early),
--            asked_until (the end of the pause that the receiver itself has named)

-- Returns a value raised by a number of successes: quickly up to its ceiling, slowly past it, then ever faster.
local function raised(value, ceiling, count, calm, near, law)
  if value < near * ceiling then
    value = near * ceiling - (near * ceiling - value) * law.approach ^ count
    if value < 0.98 * near * ceiling then return value end
  end
  if value >= law.free * ceiling then return value * law.climb ^ math.min(count, 50) end
  return value + count * (near > 0 and (law.past - law.near) * ceiling or 1) / calm
end

-- Cuts what was learned, once for what was in flight together.
local function cut(view, pace, passed, began, now, law)
  if pace.refusing or began <= (pace.cut_at or 0) then return end
  local taken, warm = view.busy, now - view.success_at <= math.max(law.idle, pace.rate and 3000 / pace.rate or 0)
  pace.crowded = taken >= 1 and taken <= law.concurrency_cut * view.concurrency
  pace.hasty = warm and (not pace.crowded or pace.cut_at ~= nil and passed < pace.calm)
  pace.most = math.max(2, taken >= 1 and math.min(view.concurrency, taken + 1) or view.concurrency)
  view.concurrency = math.max(1, math.min(math.max(taken, view.concurrency / 2),
    law.concurrency_cut * view.concurrency))
  pace.refusing, pace.cut_at = now, now
end

-- Sets the rate when the first delivery after a refusal was taken.
-- passed: deliveries taken before it, since the refusal before this one, which was at view.passed_since
local function resume(view, pace, passed, now, law)
  local whole = math.max(1, passed) * 1000 / math.max(1, now - view.passed_since)
  local busy = math.max(1, passed) * 1000 / math.max(1, pace.refusing - view.passed_since)
  if pace.hasty and not pace.rate and passed < law.enough then
    pace.rate, pace.ceiling = whole, nil
  elseif pace.hasty and pace.rate and not pace.ceiling then
    pace.ceiling, pace.rate = pace.rate / law.start, pace.rate / law.start
  elseif pace.hasty then
    local ceiling = pace.rate or busy
    pace.early = passed < law.enough and (pace.early or 0) + 1 or 0
    if whole < law.trusted * ceiling then
      if pace.early > 0 then ceiling = law.early_cuts[math.min(pace.early, #law.early_cuts)] * ceiling
      else ceiling = math.max(math.sqrt(whole * ceiling), pace.rate and pace.rate / 2 or 0) end
    end
    pace.ceiling, pace.rate = ceiling, math.min(math.max(whole, ceiling / 2), 0.9 * ceiling)
  end
  local at = pace.hasty and math.min(pace.rate, pace.ceiling or pace.rate) or busy
  pace.calm = math.max(law.calm, law.calm_pauses * (now - pace.refusing) / 1000 * at)
  pace.refusing, pace.cut_at = nil, now
end
