#!lua
-- Holds money for a question that is about to be asked, where enough of the day's is left.
-- KEYS: 1 held, 2 spent:<day>
-- ARGV: 1 the hold, <thousandths of a dollar>:<id>, 2 now and 3 its end in ms, 4 what may be spent and held in all,
--       5 price of a Space, 6 price of a user, both in thousandths
-- Returns: {whether it is held (1/0), what is spent today, what others hold}, in thousandths
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])
redis.call('ZREM', KEYS[1], ARGV[1])
local spent, held = 0, 0
local reads = redis.call('HGETALL', KEYS[2])
for i = 1, #reads, 2 do
  spent = spent + reads[i + 1] * (string.find(reads[i], '^spaces:') and ARGV[5] or ARGV[6])
end
for _, hold in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  held = held + string.match(hold, '^%d+')
end
local fits = spent + held + string.match(ARGV[1], '^%d+') <= tonumber(ARGV[4])
if fits then
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3] - ARGV[2])
end
return {fits and 1 or 0, spent, held}
