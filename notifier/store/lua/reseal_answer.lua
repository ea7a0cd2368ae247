#!lua
-- Replaces a stored answer if unchanged since it was read; its expiry stays.
-- KEYS: 1 idempotency:<key>
-- ARGV: 1 the text that was read, 2 new text
-- Returns: 1 when done, 0 when it is gone or another one by now
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
