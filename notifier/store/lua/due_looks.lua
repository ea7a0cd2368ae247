-- Shows the first looks of a call. A lease that has run out makes its look due again, urgently: its worker died.
-- KEYS: 1 looks:<call>:urgent, 2 looks:<call>:patient, 3 looks:<call>:leased
-- ARGV: 1 now in ms, 2 how many of each at most
-- Returns: {urgent, patient}, each a flat list of subject and ms
for _, subject in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1], 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[3], subject)
  redis.call('ZADD', KEYS[1], ARGV[1], subject)
end
local last = tonumber(ARGV[2]) - 1
return {
  redis.call('ZRANGE', KEYS[1], 0, last, 'WITHSCORES'),
  redis.call('ZRANGE', KEYS[2], 0, last, 'WITHSCORES'),
}
