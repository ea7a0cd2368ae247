-- Lines: what an endpoint that wants order is owed of one Space, by sequence. Only the head of a line is due or
-- leased; the others wait in it. Included ahead of a script by its "-- include:" line, after lib/state.lua.

-- Puts an event in its line; true when it is the head now and has to be made due.
local function join_line(endpoint, space, sequence, event)
  local line = line_key(endpoint, space)
  local head = redis.call('ZRANGE', line, 0, 0)[1]
  redis.call('ZADD', line, sequence, event)
  redis.call('HSET', lines_key(endpoint), event, space)
  if not head then
    add_to_state(endpoint, 'lines', 1)
    return true
  end
  if redis.call('ZRANGE', line, 0, 0)[1] ~= event then return false end
  -- An earlier event is sent again: the one that was first waits behind it, unless it is in flight.
  if head ~= event then redis.call('ZREM', due_key(endpoint), head) end
  return true
end

-- Has an event that is due again wait in its line, where an earlier one was sent again while it was in flight.
local function stand_back(endpoint, event)
  local space = redis.call('HGET', lines_key(endpoint), event)
  if space and redis.call('ZRANGE', line_key(endpoint, space), 0, 0)[1] ~= event then
    redis.call('ZREM', due_key(endpoint), event)
  end
end

-- Takes a settled event out of its line, if it is in one, and makes the next one due.
local function leave_line(endpoint, event, now)
  local space = redis.call('HGET', lines_key(endpoint), event)
  if not space then return end
  local line = line_key(endpoint, space)
  redis.call('HDEL', lines_key(endpoint), event)
  redis.call('ZREM', line, event)
  local head = redis.call('ZRANGE', line, 0, 0)[1]
  if not head then
    add_to_state(endpoint, 'lines', -1)
  elseif not redis.call('ZSCORE', leased_key(endpoint), head) then
    redis.call('ZADD', due_key(endpoint), 'NX', now, head)
  end
end
