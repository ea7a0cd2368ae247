-- The state of an endpoint: the only file that reads and writes its record (store/endpoint_state.py has the fields).
-- Included ahead of a script by its "-- include:" line, after lib/queue.lua.

local function set_state(endpoint, ...) redis.call('HSET', state_key(endpoint), ...) end
local function add_to_state(endpoint, field, count) redis.call('HINCRBY', state_key(endpoint), field, count) end
local function read_state(endpoint, ...) return redis.call('HMGET', state_key(endpoint), ...) end

-- Says whether an endpoint exists, as its partition knows it. What is left of a deleted one has no limits.
local function is_here(endpoint)
  return redis.call('HEXISTS', state_key(endpoint), 'max_concurrency') == 1
end

-- Reads what there is to know of an endpoint: its limits, how it is doing, how many deliveries are in flight
-- (busy), and when the first of their leases ends.
local function view_of(endpoint)
  local fields = read_state(endpoint, 'paused', 'resume_at', 'max_concurrency', 'interval_ms',
    'rate_at', 'open_until', 'lines', 'failures', 'probes', 'failing_since', 'concurrency', 'pace', 'success_at',
    'passed_since', 'remembers')
  local leased = leased_key(endpoint)
  local busy = redis.call('ZCARD', leased)
  return {
    busy = busy, lease_end = busy > 0 and head(leased) or nil,
    paused = fields[1] == '1', resume_at = tonumber(fields[2] or 0),
    max_concurrency = tonumber(fields[3] or 16),
    interval = tonumber(fields[4] or 0), rate_at = tonumber(fields[5] or 0), open_until = tonumber(fields[6] or 0),
    lines = tonumber(fields[7] or 0), failures = tonumber(fields[8] or 0), probes = tonumber(fields[9] or 0),
    failing_since = tonumber(fields[10]),
    -- What was learned of its pace (lib/pace.lua); a record of an older version knows no first contact.
    concurrency = tonumber(fields[11] or fields[3] or 16),
    pace = fields[12] and fields[12] ~= '' and cjson.decode(fields[12]) or nil,
    success_at = tonumber(fields[13] or 0), passed_since = tonumber(fields[14] or 0), remembers = fields[15] == '1',
  }
end

-- Says how many deliveries may be in flight at once: one while the breaker is open (lib/breaker.lua) and after the
-- receiver has asked for a slower pace, until it takes one.
local function most_of(view)
  if view.open_until > 0 or view.pace and view.pace.refusing then return 1 end
  local learned = view.concurrency - view.concurrency % 1
  return learned < view.max_concurrency and learned or view.max_concurrency
end

-- Returns the ms between two sends (0 = no limit), and for how many of them it may make up at once: a second's
-- worth under the owner's limit; next to nothing under a learned one, since a burst is what was refused.
local function spacing_of(view)
  local interval, pace = view.interval, view.pace
  if pace and pace.refusing then
    interval = math.max(interval, 1)
    return interval, interval
  elseif pace and pace.rate then
    interval = math.max(interval, 1000 / pace.rate)
    return interval, interval + 20
  end
  return interval, interval > 1000 and interval or 1000
end
