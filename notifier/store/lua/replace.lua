#!lua
-- Replaces a record of text, unless it has changed since it was read.
-- KEYS: 1 record
-- ARGV: 1 new text, 2 text that it replaces ('' = there is none), 3 TTL in s ('' = it does not expire)
-- Returns: 1 when done, 0 when the record is another one by now
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
if ARGV[3] ~= '' then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return 1
