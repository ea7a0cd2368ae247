#!lua
-- Shows the first polls of a call, and the standings of their subjects. A lease that has run out makes its poll
-- due again, urgently: its worker died.
-- KEYS: 1 polls:<call>:urgent, 2 polls:<call>:patient, 3 polls:<call>:leased, 4 standing:<call>
-- ARGV: 1 now in ms, 2 how many of each at most
-- Returns: {urgent, patient, standings, number of standings}: flat lists of subject and ms, twice, and of subject
--          and standing as JSON
for _, subject in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1], 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[3], subject)
  redis.call('ZADD', KEYS[1], ARGV[1], subject)
end
local last = tonumber(ARGV[2]) - 1
local urgent = redis.call('ZRANGE', KEYS[1], 0, last, 'WITHSCORES')
local patient = redis.call('ZRANGE', KEYS[2], 0, last, 'WITHSCORES')
local standings, count = {}, redis.call('HLEN', KEYS[4])
if count > 0 then
  for _, polls in ipairs({urgent, patient}) do
    for i = 1, #polls, 2 do
      local standing = redis.call('HGET', KEYS[4], polls[i])
      if standing then
        standings[#standings + 1] = polls[i]
        standings[#standings + 1] = standing
      end
    end
  end
end
return {urgent, patient, standings, count}
