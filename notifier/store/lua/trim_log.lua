#!lua
-- Drops the oldest entries of the log's indexes whose events have expired.
-- KEYS: 1 an index of the log: event id -> serial
-- ARGV: 1 how many to examine
-- Returns: how many were dropped
local dropped = 0
for _, event in ipairs(redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)) do
  if redis.call('EXISTS', event_key(event)) == 1 then break end
  redis.call('ZREM', KEYS[1], event)
  dropped = dropped + 1
end
return dropped
