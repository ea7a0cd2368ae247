-- Writes one event into the log and the outbox. Included ahead of a script by its "-- include:" line.

-- An event that is there already is left as it is: its id says that the content is the same.
local function log_event(id, kind, body, routing, space, sequence, ttl)
  local key = 'sn:event:' .. id
  if redis.call('EXISTS', key) == 1 then return end
  local serial = redis.call('INCR', 'sn:serial')
  local time = redis.call('TIME')
  local at = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('HSET', key, 'type', kind, 'body', body, 'routing', routing, 'space', space,
    'sequence', sequence, 'serial', serial, 'at', at)
  redis.call('EXPIRE', key, ttl)
  redis.call('ZADD', 'sn:events', serial, id)
  redis.call('ZADD', 'sn:events:type:' .. kind, serial, id)
  redis.call('ZADD', 'sn:outbox', serial, id)
  if space ~= '' then
    redis.call('ZADD', 'sn:space:' .. space .. ':events', sequence, id)
    redis.call('EXPIRE', 'sn:space:' .. space .. ':events', ttl)
  end
end
