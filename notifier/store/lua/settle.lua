-- include: lib/queue.lua
-- Records the outcomes of attempts and moves each delivery on: done, or due again later.
-- A delivery whose lease this worker no longer holds is left alone: whoever holds it now will settle it.
-- KEYS: 1 ready:<partition>
-- ARGV: 1 TTL of the records in s, 2 the attempts as a JSON list of [endpoint, event, lease end, status of the
--       delivery, delay in ms (pending), attempts made, reason, attempt as JSON text, slow-down in ms,
--       succeeded (true, false, null)]; one argument, because each costs the sender more than its text
-- Returns: how many were stale
local now, ttl, stale = now_ms(), tonumber(ARGV[1]), 0
local touched = {}  -- endpoint -> whether any attempt of this batch succeeded
for _, settlement in ipairs(cjson.decode(ARGV[2])) do
  local endpoint, event, lease_end, status, delay, made, reason, attempt, pause, succeeded = unpack(settlement, 1, 10)
  local leased = 'sn:leased:' .. endpoint
  local held = redis.call('ZSCORE', leased, event)
  if not held or tonumber(held) ~= lease_end then
    stale = stale + 1
  else
    redis.call('ZREM', leased, event)
    local tail = 'dlv_' .. string.sub(event, 5) .. string.sub(endpoint, 4)
    local delivery, attempts, run = 'sn:delivery:' .. tail, 'sn:attempts:' .. tail, 'sn:run:' .. endpoint
    local settled_at = ''
    if status == 'pending' then
      redis.call('ZADD', 'sn:due:' .. endpoint, now + delay, event)
    else
      settled_at = now
    end
    redis.call('HSET', delivery, 'status', status, 'attempts', made, 'reason', reason, 'manual', 0,
      'settled_at', settled_at)
    redis.call('EXPIRE', delivery, ttl)
    redis.call('RPUSH', attempts, attempt)
    redis.call('EXPIRE', attempts, ttl)
    touched[endpoint] = touched[endpoint] or succeeded == true
    if succeeded == false then
      redis.call('HINCRBY', run, 'failures', 1)
      redis.call('HSET', run, 'failure_at', now, 'failure_reason', reason)
    end
    if pause > 0 then redis.call('HSET', run, 'resume_at', now + pause) end
  end
end
for endpoint, succeeded in pairs(touched) do
  if succeeded then redis.call('HSET', 'sn:run:' .. endpoint, 'failures', 0, 'success_at', now) end
  -- One that still waits for its turn keeps it.
  local filed = tonumber(redis.call('ZSCORE', KEYS[1], endpoint) or now)
  file_endpoint(KEYS[1], endpoint, math.min(filed, now))
end
return stale
