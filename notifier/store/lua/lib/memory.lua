-- What the kind of an endpoint remembers of each Space. Included ahead of a script by its "-- include:" line.

-- Returns the Space that an event in a line is about, what is remembered of it ('' = nothing), and the last event that
-- waits behind this one ('' = none).
local function recall(endpoint, event)
  local space = redis.call('HGET', lines_key(endpoint), event)
  if not space then return '', '', '' end
  local last = redis.call('ZRANGE', line_key(endpoint, space), -1, -1)[1]
  return space, redis.call('HGET', memories_key(endpoint), space) or '', last ~= event and last or ''
end

-- Erases what has come to its end, up to a hundred memories; returns how many there were.
local function erase_old(memories, ends, now)
  local old = redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 100)
  if #old > 0 then
    redis.call('HDEL', memories, unpack(old))
    redis.call('ZREM', ends, unpack(old))
  end
  return #old
end

-- Replaces a memory, which expires after some seconds; '' erases it.
local function remember(endpoint, space, memory, now, ttl)
  local memories, ends = memories_key(endpoint), memory_ends_key(endpoint)
  if memory == '' then
    redis.call('HDEL', memories, space)
    redis.call('ZREM', ends, space)
    return
  end
  redis.call('HSET', memories, space, memory)
  redis.call('ZADD', ends, now + ttl * 1000, space)
  redis.call('EXPIRE', memories, ttl)
  redis.call('EXPIRE', ends, ttl)
end
