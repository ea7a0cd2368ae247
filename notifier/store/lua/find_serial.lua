#!lua flags=no-writes
-- Finds a moment in the log. Events that have expired count as earlier than any moment.
-- KEYS: 1 the log: event id -> serial
-- ARGV: 1 epoch ms
-- Returns: the serial of the last event that was committed before the moment, 0 when there is none
local low, high = 0, redis.call('ZCARD', KEYS[1])
while low < high do
  local middle = math.floor((low + high) / 2)
  local event = redis.call('ZRANGE', KEYS[1], middle, middle)[1]
  local at = redis.call('HGET', event_key(event), 'at')
  if not at or tonumber(at) < tonumber(ARGV[1]) then low = middle + 1 else high = middle end
end
if low == 0 then return 0 end
return tonumber(redis.call('ZRANGE', KEYS[1], low - 1, low - 1, 'WITHSCORES')[2])
