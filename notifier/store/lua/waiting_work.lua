-- Says which jobs have something to do: the sweep's one question to the database.
-- A job that has a wakeup on its way is left out.
-- KEYS: 1 outbox
-- ARGV: 1 number of partitions, 2 now in ms by the workers' clock, then the calls that polls are kept for
-- Returns: the names of the jobs: 'dispatch', 'observe', 'ring', 'recover', 'challenge',
--          'deliver:<partition>'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local jobs = {}

local function consider(job, key, until_ms)
  if redis.call('ZCOUNT', key, '-inf', until_ms) == 0 then return end
  if redis.call('SET', 'sn:wakeup:' .. job, 1, 'NX', 'PX', 5000) then jobs[#jobs + 1] = job end
end

consider('dispatch', KEYS[1], '+inf')
for i = 3, #ARGV do
  for _, part in ipairs({'urgent', 'patient', 'leased'}) do
    consider('observe', 'sn:looks:' .. ARGV[i] .. ':' .. part, ARGV[2])
  end
end
consider('ring', 'sn:timers:reminder', ARGV[2])
consider('ring', 'sn:timers:erasure', ARGV[2])
consider('recover', 'sn:recovering', now)
consider('challenge', 'sn:challenges', ARGV[2])
for partition = 0, tonumber(ARGV[1]) - 1 do
  consider('deliver:' .. partition, 'sn:ready:' .. partition, now)
end
return jobs
