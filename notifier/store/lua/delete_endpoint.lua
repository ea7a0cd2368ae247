#!lua
-- Deletes the record of an endpoint. Its partition has yet to drop its queue (remove_endpoint.lua).
-- KEYS: 1 endpoint:<id>
-- ARGV: 1 id
-- Returns: 1, or 0 when there is no such endpoint
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', endpoints_key, ARGV[1])
redis.call('ZREM', challenges_key, ARGV[1])
redis.call('INCR', endpoints_generation_key)
redis.call('ZADD', endpoints_changed_key, redis.call('INCR', serial_key), ARGV[1])
return 1
