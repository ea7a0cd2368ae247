-- The circuit breaker of an endpoint, and its record of health. Included ahead of a script by its "-- include:"
-- line. After so many failures in a row it opens: nothing goes out until a moment, and then one attempt at a
-- time, the probe, at growing intervals, until one succeeds.

-- Takes over what a batch of outcomes says of an endpoint.
-- seen: succeeded (true or nil), failed, in_a_row (failures after the last success), reason, pause in ms, and
--       how many deliveries ended in which status
-- figures: {threshold, first and longest wait in ms, how long an endpoint may fail in ms}
-- Returns true when it has failed for too long.
local function note_health(endpoint, seen, figures, now)
  local run = 'sn:run:' .. endpoint
  for _, status in ipairs({'delivered', 'exhausted', 'discarded'}) do
    if seen[status] then redis.call('HINCRBY', run, status, seen[status]) end
  end
  if seen.succeeded then
    -- A pause that the receiver asked for stays; the breaker's own ends with it.
    if tonumber(redis.call('HGET', run, 'open_until') or 0) > 0 then redis.call('HSET', run, 'resume_at', 0) end
    redis.call('HSET', run, 'failures', 0, 'success_at', now, 'open_until', 0, 'probes', 0, 'failing_since', '')
  end
  if seen.failed > 0 then
    redis.call('HINCRBY', run, 'failed', seen.failed)
    redis.call('HSET', run, 'failure_at', now, 'failure_reason', seen.reason)
  end
  if seen.pause > 0 then redis.call('HSET', run, 'resume_at', now + seen.pause) end
  if seen.in_a_row == 0 then return false end

  local failures = redis.call('HINCRBY', run, 'failures', seen.in_a_row)
  local before = redis.call('HMGET', run, 'open_until', 'probes', 'failing_since', 'resume_at')
  local open_until = tonumber(before[1] or 0)
  -- What was under way when it opened says nothing new: only a probe moves the next one farther away.
  if failures >= figures[1] and open_until <= now then
    local probes = open_until > 0 and tonumber(before[2] or 0) + 1 or 0
    open_until = now + math.min(figures[2] * 2 ^ math.min(probes, 30), figures[3])
    redis.call('HSET', run, 'open_until', open_until, 'probes', probes,
      'resume_at', math.max(open_until, tonumber(before[4] or 0)))
  end
  local since = tonumber(before[3]) or now
  if since == now then redis.call('HSET', run, 'failing_since', now) end
  return now - since >= figures[4]
end
