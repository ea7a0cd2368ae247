-- include: lib/queue.lua
-- include: lib/lines.lua
-- include: lib/breaker.lua
-- Records the outcomes of attempts and moves each delivery on: done, or due again later.
-- A delivery whose lease this worker no longer holds is left alone: whoever holds it now will settle it.
-- The attempts come in the order in which they ended.
-- KEYS: 1 ready:<partition>
-- ARGV: 1 TTL of the records in s, 2 the breaker's figures as JSON (see lib/breaker.lua), 3 the attempts as a
--       JSON list of [endpoint, event, lease end, status of the delivery, delay in ms (pending), attempts made,
--       reason, attempt id, attempt as JSON text, slow-down in ms, succeeded (true, false, null)]; one argument,
--       because each costs the sender more than its text
-- Returns: {how many were stale, the endpoints that have failed for too long…}
local now, ttl, stale = now_ms(), tonumber(ARGV[1]), 0
local touched = {}  -- endpoint -> what this batch says of it
for _, settlement in ipairs(cjson.decode(ARGV[3])) do
  local endpoint, event, lease_end, status, delay, made, reason, id, attempt, pause, succeeded = unpack(settlement, 1, 11)
  local leased = 'sn:leased:' .. endpoint
  local held = redis.call('ZSCORE', leased, event)
  if not held or tonumber(held) ~= lease_end then
    stale = stale + 1
  else
    redis.call('ZREM', leased, event)
    local seen = touched[endpoint] or {failed = 0, in_a_row = 0, pause = 0, settled = {}, again = {}}
    touched[endpoint] = seen
    local settled_at = ''
    if status == 'pending' then
      redis.call('ZADD', 'sn:due:' .. endpoint, now + delay, event)
      seen.again[#seen.again + 1] = event
    else
      settled_at = now
      seen.settled[#seen.settled + 1] = event
      seen[status] = (seen[status] or 0) + 1
    end
    local delivery = delivery_key(endpoint, event)
    redis.call('HSET', delivery, 'status', status, 'attempts', made, 'reason', reason, 'manual', 0,
      'settled_at', settled_at, id, attempt)
    redis.call('EXPIRE', delivery, ttl)
    if succeeded == true then seen.succeeded, seen.in_a_row = true, 0 end
    if succeeded == false then
      seen.failed, seen.in_a_row, seen.reason = seen.failed + 1, seen.in_a_row + 1, reason
    end
    seen.pause = math.max(seen.pause, pause)
  end
end

local answer, figures = {stale}, cjson.decode(ARGV[2])
for endpoint, seen in pairs(touched) do
  local run = read_run(endpoint)
  if run.lines > 0 then
    for _, event in ipairs(seen.settled) do leave_line(endpoint, event, now) end
    for _, event in ipairs(seen.again) do stand_back(endpoint, event) end
  end
  if note_health(endpoint, run, seen, figures, now) then answer[#answer + 1] = endpoint end
  -- One that still waits for its turn keeps it.
  local filed = tonumber(redis.call('ZSCORE', KEYS[1], endpoint) or now)
  local busy, lease_end = read_leases(endpoint)
  file_under(KEYS[1], endpoint, run, busy, lease_end, math.min(filed, now))
end
return answer
