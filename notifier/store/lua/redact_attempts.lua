#!lua
-- Replaces attempts in the record of a delivery that is still kept.
-- KEYS: 1 delivery:<id>
-- ARGV: per attempt: id, the attempt as JSON
-- Returns: 1, or 0 when the record has expired
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
