#!lua
-- Drops what the indexes say of a Space whose record has expired.
-- KEYS: 1 space:<id>, 2 space:<id>:watches, 3 spaces, then the spaces of each phase
-- ARGV: 1 Space id
-- Returns: 1, or 0 when the record is there
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for _, watch in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  redis.call('ZREM', watch_spaces_key(watch), ARGV[1])
end
redis.call('DEL', KEYS[2])
redis.call('ZREM', timers_key('erasure'), ARGV[1])
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return 1
