-- Where a poll is filed. Included ahead of a script by its "-- include:" line.
-- A subject is in one of three sets of its call: urgent, patient, or leased while a worker asks about it.

local function drop_poll(call, subject)
  for _, part in ipairs(POLL_PARTS) do redis.call('ZREM', polls_key(call, part), subject) end
end

-- Stops asking about a subject; its standing is forgotten, too.
local function end_poll(call, subject)
  drop_poll(call, subject)
  redis.call('HDEL', standings_key(call), subject)
end

local function has_poll(call, subject)
  for _, part in ipairs(POLL_PARTS) do
    if redis.call('ZSCORE', polls_key(call, part), subject) then return true end
  end
  return false
end

local function file_poll(call, subject, at, urgency)
  drop_poll(call, subject)
  redis.call('ZADD', polls_key(call, urgency), at, subject)
end

-- Has a subject polled by this time; a poll in flight is enough.
local function bring_forward(call, subject, at)
  if redis.call('ZSCORE', polls_key(call, 'leased'), subject) then return end
  local urgent = redis.call('ZSCORE', polls_key(call, 'urgent'), subject)
  if not urgent or tonumber(urgent) > tonumber(at) then file_poll(call, subject, at, 'urgent') end
end

-- Ends the polls of a Space that is no longer followed, and has its content erased.
local function untrack(space, erase_at)
  end_poll('lookup', space)
  redis.call('ZREM', timers_key('reminder'), space)
  redis.call('ZREM', cycle_polled_key, space)
  redis.call('ZREM', cycle_missing_key, space)
  if redis.call('EXISTS', space_key(space)) == 1 then
    redis.call('ZADD', timers_key('erasure'), 'LT', erase_at, space)
  end
end
