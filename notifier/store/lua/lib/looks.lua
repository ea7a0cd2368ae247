-- Where a look is filed. Included ahead of a script by its "-- include:" line.
-- A subject stands in one of three sets of its call: urgent, patient, or leased while a worker asks about it.

local function looks_of(call, part)
  return 'sn:looks:' .. call .. ':' .. part
end

local function drop_look(call, subject)
  for _, part in ipairs({'urgent', 'patient', 'leased'}) do redis.call('ZREM', looks_of(call, part), subject) end
end

-- Stops asking about a subject: what X has against it is forgotten, too.
local function end_look(call, subject)
  drop_look(call, subject)
  redis.call('HDEL', 'sn:standing:' .. call, subject)
end

local function has_look(call, subject)
  for _, part in ipairs({'urgent', 'patient', 'leased'}) do
    if redis.call('ZSCORE', looks_of(call, part), subject) then return true end
  end
  return false
end

local function file_look(call, subject, at, urgency)
  drop_look(call, subject)
  redis.call('ZADD', looks_of(call, urgency), at, subject)
end

-- Has a subject looked at by this moment; where somebody is asking about it already, that will do.
local function bring_forward(call, subject, at)
  if redis.call('ZSCORE', looks_of(call, 'leased'), subject) then return end
  local urgent = redis.call('ZSCORE', looks_of(call, 'urgent'), subject)
  if not urgent or tonumber(urgent) > tonumber(at) then file_look(call, subject, at, 'urgent') end
end

-- Ends the looks at a Space that nobody follows any more, and has its content erased.
local function untrack(space, erase_at)
  end_look('lookup', space)
  redis.call('ZREM', 'sn:timers:reminder', space)
  redis.call('ZREM', 'sn:cycle:looked', space)
  redis.call('ZREM', 'sn:cycle:missing', space)
  if redis.call('EXISTS', 'sn:space:' .. space) == 1 then
    redis.call('ZADD', 'sn:timers:erasure', 'LT', erase_at, space)
  end
end
