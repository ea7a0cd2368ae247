-- Writes one event into the log and the outbox. Included ahead of a script by its "-- include:" line, after
-- lib/time.lua.

-- An event that is there already is left as it is: its id says that the content is the same.
local function log_event(id, kind, body, routing, space, sequence, ttl)
  local key = event_key(id)
  if redis.call('EXISTS', key) == 1 then return end
  local serial = redis.call('INCR', serial_key)
  redis.call('HSET', key, 'type', kind, 'body', body, 'routing', routing, 'space', space,
    'sequence', sequence, 'serial', serial, 'at', now_ms())
  redis.call('EXPIRE', key, ttl)
  redis.call('ZADD', events_key, serial, id)
  redis.call('ZADD', events_of_type_key(kind), serial, id)
  redis.call('ZADD', outbox_key, serial, id)
  if space ~= '' then
    redis.call('ZADD', space_events_key(space), sequence, id)
    redis.call('EXPIRE', space_events_key(space), ttl)
  end
end
