-- include: lib/queue.lua
-- Records the outcomes of attempts and moves each delivery on: done, or due again later.
-- A delivery whose lease this worker no longer holds is left alone: whoever holds it now will settle it.
-- KEYS: 1 ready:<partition>
-- ARGV: 1 TTL of the records in s, then per attempt: endpoint, event, lease end, verdict (status of the
--       delivery), delay in ms (pending), attempts made, reason, attempt as JSON, slow-down in ms, succeeded (1/0/'')
-- Returns: how many were stale
local now, ttl, stale = now_ms(), tonumber(ARGV[1]), 0
local touched = {}  -- endpoint -> whether any attempt of this batch succeeded
for i = 2, #ARGV, 10 do
  local endpoint, event, lease_end, verdict = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local leased = 'sn:leased:' .. endpoint
  local held = redis.call('ZSCORE', leased, event)
  if not held or tonumber(held) ~= tonumber(lease_end) then
    stale = stale + 1
  else
    redis.call('ZREM', leased, event)
    local tail = 'dlv_' .. string.sub(event, 5) .. string.sub(endpoint, 4)
    local delivery, attempts, run = 'sn:delivery:' .. tail, 'sn:attempts:' .. tail, 'sn:run:' .. endpoint
    local settled_at = ''
    if verdict == 'pending' then
      redis.call('ZADD', 'sn:due:' .. endpoint, now + tonumber(ARGV[i + 4]), event)
    else
      settled_at = now
    end
    redis.call('HSET', delivery, 'status', verdict, 'attempts', ARGV[i + 5], 'reason', ARGV[i + 6], 'manual', 0,
      'settled_at', settled_at)
    redis.call('EXPIRE', delivery, ttl)
    redis.call('RPUSH', attempts, ARGV[i + 7])
    redis.call('EXPIRE', attempts, ttl)
    touched[endpoint] = touched[endpoint] or false
    if ARGV[i + 9] == '1' then
      touched[endpoint] = true
    elseif ARGV[i + 9] == '0' then
      redis.call('HINCRBY', run, 'failures', 1)
      redis.call('HSET', run, 'failure_at', now, 'failure_reason', ARGV[i + 6])
    end
    if tonumber(ARGV[i + 8]) > 0 then redis.call('HSET', run, 'resume_at', now + tonumber(ARGV[i + 8])) end
  end
end
for endpoint, succeeded in pairs(touched) do
  if succeeded then redis.call('HSET', 'sn:run:' .. endpoint, 'failures', 0, 'success_at', now) end
  -- One that still waits for its turn keeps it.
  local filed = tonumber(redis.call('ZSCORE', KEYS[1], endpoint) or now)
  file_endpoint(KEYS[1], endpoint, math.min(filed, now))
end
return stale
