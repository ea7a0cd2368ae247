-- What the scripts of the delivery queue share. Included ahead of a script by its "-- include:" line.

local function now_ms()
  -- The server's clock, so that a worker whose clock is off neither sends early nor steals a lease.
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function head(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

-- Files an endpoint in its partition under the next moment at which there is something to do for it:
-- its first due delivery, not before it may be sent to again, or the end of its first lease. The partition is
-- served in this order, so a backlog must not carry its age into it: whoever is filed anew because something
-- has happened to it gives not_before, and stands behind those who wait already.
local function file_endpoint(ready, endpoint, not_before)
  local run = redis.call('HMGET', 'sn:run:' .. endpoint, 'paused', 'resume_at', 'max_concurrency', 'rate_at', 'interval_ms',
    'open_until')
  local lease_end = head('sn:leased:' .. endpoint)
  local at = nil
  local busy = redis.call('ZCARD', 'sn:leased:' .. endpoint)
  local most = tonumber(run[6] or 0) > 0 and 1 or tonumber(run[3] or 16)
  if run[1] ~= '1' and busy < most then
    at = head('sn:due:' .. endpoint)
    local next_token = tonumber(run[4] or 0) + tonumber(run[5] or 0)
    if at then at = math.max(at, tonumber(run[2] or 0), next_token, not_before) end
  end
  if lease_end and (not at or lease_end < at) then at = lease_end end
  if at then
    redis.call('ZADD', ready, at, endpoint)
  else
    redis.call('ZREM', ready, endpoint)
  end
end
