-- The circuit breaker of an endpoint, and its record of health. Included ahead of a script by its "-- include:"
-- line. After consecutive failures it opens: nothing is sent for a while, and then one attempt at a
-- time, the probe, at growing intervals, until one succeeds.

-- Takes over what a batch of outcomes says of an endpoint, also into view (lib/state.lua).
-- seen: succeeded (true or nil), alive (true or nil: it took something or asked for a slower pace), failed, in_a_row
--       (failures after the last success), reason, pause in ms, how many deliveries ended in which status, and what
--       lib/pacing.lua reads
-- figures: threshold (failures in a row), first_wait and longest_wait, given_up (how long an endpoint may fail),
--          silence (after how long without a failure it begins to fail again), all in ms, and the law of the pace
-- Returns true when it has failed for too long.
local function note_health(endpoint, view, seen, figures, now)
  local changes = {}
  local function set(field, value)
    view[field] = value
    changes[#changes + 1] = field
    changes[#changes + 1] = value or ''
  end

  for _, status in ipairs(FINAL_STATUSES) do
    if seen[status] then add_to_state(endpoint, status, seen[status]) end
  end
  if seen.alive and (view.failures > 0 or view.open_until > 0 or view.failing_since) then
    -- The breaker's own pause ends with it; a longer one is the receiver's wish and stays.
    if view.open_until > 0 and view.resume_at <= view.open_until then set('resume_at', 0) end
    set('failures', 0)
    set('open_until', 0)
    set('probes', 0)
    set('failing_since', nil)
  end
  note_pace(endpoint, view, seen, set, now, figures.pace)
  if seen.succeeded then set('success_at', now) end
  if seen.refused > 0 then add_to_state(endpoint, 'refused', seen.refused) end
  local failed_at = seen.in_a_row > 0 and tonumber(read_state(endpoint, 'failure_at')[1] or now)
  if seen.failed > 0 then
    add_to_state(endpoint, 'failed', seen.failed)
    set('failure_at', now)
    set('failure_reason', seen.reason)
  end
  if seen.pause > 0 then set('resume_at', math.max(view.resume_at, now + seen.pause)) end
  if seen.in_a_row > 0 then
    set('failures', view.failures + seen.in_a_row)
    if not view.failing_since or now - failed_at >= figures.silence then set('failing_since', now) end
    -- What was in flight when it opened says nothing new: only a probe moves the next one farther away.
    if view.failures >= figures.threshold and view.open_until <= now then
      set('probes', view.open_until > 0 and view.probes + 1 or 0)
      set('open_until', now + math.min(figures.first_wait * 2 ^ math.min(view.probes, 30), figures.longest_wait))
      set('resume_at', math.max(view.open_until, view.resume_at))
    end
  end
  if #changes > 0 then set_state(endpoint, unpack(changes)) end
  return seen.in_a_row > 0 and now - view.failing_since >= figures.given_up
end
