#!lua
-- Starts a recovery, unless the endpoint has one that still runs.
-- KEYS: 1 recovery:<id>, 2 recoveries:<endpoint>, 3 recovering
-- ARGV: 1 id, 2 TTL in s, 3 now in ms, then the fields of the record and their values
-- Returns: '' when done, else the id of the one that runs
local latest = redis.call('ZRANGE', KEYS[2], -1, -1)[1]
if latest and redis.call('HGET', recovery_key(latest), 'status') == 'running' then return latest end
for _, old in ipairs(redis.call('ZRANGE', KEYS[2], 0, 9)) do
  if redis.call('EXISTS', recovery_key(old)) == 0 then redis.call('ZREM', KEYS[2], old) end
end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], redis.call('INCR', serial_key), ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
return ''
