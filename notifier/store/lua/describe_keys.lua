#!lua flags=no-writes
-- Says of keys what they are and when they expire.
-- KEYS: the keys, all of one tag
-- ARGV: none
-- Returns: per key: its type, ms until it expires (-1 = never, -2 = there is none)
local answer = {}
for i, key in ipairs(KEYS) do
  answer[2 * i - 1] = redis.call('TYPE', key).ok
  answer[2 * i] = redis.call('PTTL', key)
end
return answer
