#!lua
-- include: lib/time.lua
-- Says which jobs of the deciding side have something to do.
-- KEYS: 1 outbox
-- ARGV: 1 now in ms by the workers' clock, then the calls that polls are kept for
-- Returns: the names of the jobs: 'dispatch', 'observe', 'timers', 'recover', 'challenge', 'apply'
local jobs = {}

local function consider(job, key, until_ms)
  if redis.call('ZCOUNT', key, '-inf', until_ms) > 0 then jobs[#jobs + 1] = job end
end

consider('dispatch', KEYS[1], '+inf')
for i = 2, #ARGV do
  for _, part in ipairs(POLL_PARTS) do consider('observe', polls_key(ARGV[i], part), ARGV[1]) end
end
for _, kind in ipairs(TIMER_KINDS) do consider('timers', timers_key(kind), ARGV[1]) end
consider('recover', recovering_key, now_ms())
consider('challenge', challenges_key, ARGV[1])
if redis.call('EXISTS', endpoints_changed_key) == 1 then jobs[#jobs + 1] = 'apply' end
return jobs
