#!lua
-- Claims endpoints that a challenge is due for, so that no two workers challenge one at once.
-- KEYS: 1 challenges
-- ARGV: 1 now in ms, 2 end of the lease in ms, 3 how many at most
-- Returns: the ids of the endpoints
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, endpoint in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[2], endpoint) end
return due
