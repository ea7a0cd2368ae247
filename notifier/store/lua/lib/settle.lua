-- Recording the outcomes of attempts. Included ahead of a script by its "-- include:" line, after lib/record.lua,
-- lib/filing.lua, lib/lines.lua, lib/memory.lua, lib/breaker.lua and lib/seen.lua.

-- Keeps an attempt whose endpoint was deleted while it was in flight. Nothing follows from it.
local function keep_last(endpoint, event, outcome, attempt, now, ttl)
  local status, reason = outcome[4], outcome[7]
  if status == 'pending' then
    status, reason = 'discarded', 'the endpoint was deleted; the last attempt: ' .. reason
  end
  record_attempt(endpoint, event, ttl, outcome[8], attempt, status, outcome[6], reason, now)
end

-- Moves each delivery on: done, or due again later. A delivery whose lease the worker no longer holds is left
-- alone: its present holder will settle it.
-- asked: ttl of the records in s; outcomes, in the order in which the attempts ended, each [endpoint, event, lease
--        end, status of the delivery, delay in ms (pending), attempts made, reason, attempt id, slow-down in ms,
--        succeeded (true, false, null), whether it asked for a slower pace, attempts before those that the
--        schedule counts, ms that it took, and where something of the Space is to be remembered from now on: Space,
--        memory ('' = nothing)]
-- attempts: each one's attempt as JSON text
-- Returns how many were stale, and the endpoints that have failed for too long.
local function settle(ready, views, asked, attempts, now, figures)
  local stale, given_up = 0, {}
  local touched = {}  -- endpoint -> what this batch says of it
  local ttl = asked.ttl
  for number, outcome in ipairs(asked.outcomes) do
    local endpoint, event, lease_end, status, delay, made, reason, id, pause, succeeded = unpack(outcome, 1, 10)
    local paced, base, took, space, memory = unpack(outcome, 11, 15)
    local leased = leased_key(endpoint)
    local held = redis.call('ZSCORE', leased, event)
    if not held and not is_here(endpoint) then
      keep_last(endpoint, event, outcome, attempts[number], now, ttl)
    elseif not held or tonumber(held) ~= lease_end then
      -- Where the same was recorded before, the answer to it got lost.
      if not has_attempt(endpoint, event, id) then stale = stale + 1 end
    else
      redis.call('ZREM', leased, event)
      local seen = touched[endpoint] or nothing_seen()
      touched[endpoint] = seen
      local settled_at = ''
      if status == 'pending' then
        redis.call('ZADD', due_key(endpoint), now + delay, event)
        seen.again[#seen.again + 1] = event
      else
        settled_at = now
        seen.settled[#seen.settled + 1] = event
        seen[status] = (seen[status] or 0) + 1
      end
      record_attempt(endpoint, event, ttl, id, attempts[number], status, made, reason, settled_at,
        paced and base or nil)
      if memory then remember(endpoint, space, memory, now, ttl) end
      see(seen, succeeded, paced, pause, reason, now - took)
    end
  end

  for endpoint, seen in pairs(touched) do
    local view = view_of(endpoint)
    views[endpoint] = view
    if view.lines > 0 then
      for _, event in ipairs(seen.settled) do leave_line(endpoint, event, now) end
      for _, event in ipairs(seen.again) do stand_back(endpoint, event) end
    end
    if note_health(endpoint, view, seen, figures, now) then given_up[#given_up + 1] = endpoint end
    -- One that still waits for its turn keeps it.
    local filed = tonumber(redis.call('ZSCORE', ready, endpoint) or now)
    file_under(ready, endpoint, view, math.min(filed, now))
  end
  return stale, given_up
end
