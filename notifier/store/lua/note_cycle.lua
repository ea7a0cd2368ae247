#!lua
-- Counts how many living Spaces were polled lately, and how many of them have vanished.
-- KEYS: 1 cycle:polled, 2 cycle:missing
-- ARGV: 1 now, 2 since when a poll counts, 3 since when a vanishing counts, all in ms, 4 how many Spaces were
--       found, then these, then those that were not
-- Returns: {how many were polled, how many of these are not missing, then per missing one: its id and since
--          when in ms}
local found = tonumber(ARGV[4])
for i = 5, #ARGV do
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i])
  if i <= 4 + found then
    redis.call('ZREM', KEYS[2], ARGV[i])
  else
    redis.call('ZADD', KEYS[2], 'NX', ARGV[1], ARGV[i])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[3])
for i = 1, 2 do redis.call('EXPIRE', KEYS[i], CYCLE_SECONDS) end
local polled = redis.call('ZCARD', KEYS[1])
local answer = {polled, polled}
local missing = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #missing, 2 do
  if redis.call('ZSCORE', KEYS[1], missing[i]) then answer[2] = answer[2] - 1 end
  answer[#answer + 1] = missing[i]
  answer[#answer + 1] = missing[i + 1]
end
return answer
