-- Reads the oldest entries of the outbox; those whose event has expired are dropped from it.
-- KEYS: 1 outbox
-- ARGV: 1 how many at most
-- Returns: a list of {event, type, routing as JSON}
local entries = {}
for _, event in ipairs(redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)) do
  local logged = redis.call('HMGET', 'sn:event:' .. event, 'type', 'routing')
  if logged[1] then
    entries[#entries + 1] = {event, logged[1], logged[2]}
  else
    redis.call('ZREM', KEYS[1], event)
  end
end
return entries
