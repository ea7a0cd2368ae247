#!lua
-- Notes that a partition has taken over the change of an endpoint, unless it was changed again meanwhile.
-- KEYS: 1 endpoints:changed
-- ARGV: 1 endpoint, 2 serial of the change
-- Returns: 1, or 0 when there is a later change
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('SREM', endpoints_repaired_key, ARGV[1])
return 1
