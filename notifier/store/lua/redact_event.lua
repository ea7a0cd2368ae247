#!lua
-- Replaces the body of an event that is still kept.
-- KEYS: 1 event:<id>
-- ARGV: 1 body
-- Returns: 1, or 0 when the event has expired
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'body', ARGV[1])
return 1
