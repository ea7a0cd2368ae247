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

local function delivery_key(endpoint, event)
  return 'sn:delivery:dlv_' .. string.sub(event, 5) .. string.sub(endpoint, 4)
end

-- Reads what there is to know of an endpoint: its limits, how it is doing, how many deliveries are under way
-- (busy), and when the first of their leases ends.
local function view_of(endpoint)
  local fields = redis.call('HMGET', 'sn:run:' .. endpoint, 'paused', 'resume_at', 'max_concurrency', 'interval_ms',
    'rate_at', 'open_until', 'lines', 'failures', 'probes', 'failing_since')
  local leased = 'sn:leased:' .. endpoint
  local busy = redis.call('ZCARD', leased)
  return {
    busy = busy, lease_end = busy > 0 and head(leased) or nil,
    paused = fields[1] == '1', resume_at = tonumber(fields[2] or 0),
    max_concurrency = tonumber(fields[3] or 16),
    interval = tonumber(fields[4] or 0), rate_at = tonumber(fields[5] or 0), open_until = tonumber(fields[6] or 0),
    lines = tonumber(fields[7] or 0), failures = tonumber(fields[8] or 0), probes = tonumber(fields[9] or 0),
    failing_since = tonumber(fields[10]),
  }
end

-- Says how many deliveries may be under way at once: while the breaker is open (lib/breaker.lua), one.
local function most_of(view)
  return view.open_until > 0 and 1 or view.max_concurrency
end

-- Files an endpoint in its partition under the next moment at which there is something to do for it:
-- its first due delivery, not before it may be sent to again, or the end of its first lease. The partition is
-- served in this order, so a backlog must not carry its age into it: whoever is filed anew because something
-- has happened to it gives not_before, and stands behind those who wait already.
local function file_under(ready, endpoint, view, not_before)
  local at = nil
  if not view.paused and view.busy < most_of(view) then
    at = head('sn:due:' .. endpoint)
    if at then at = math.max(at, view.resume_at, view.rate_at + view.interval, not_before) end
  end
  if view.lease_end and (not at or view.lease_end < at) then at = view.lease_end end
  if at then
    redis.call('ZADD', ready, at, endpoint)
  else
    redis.call('ZREM', ready, endpoint)
  end
end

local function file_endpoint(ready, endpoint, not_before)
  file_under(ready, endpoint, view_of(endpoint), not_before)
end
