-- Leases: the right to make an attempt, until a moment. Included ahead of a script by its "-- include:" line, after
-- lib/state.lua and lib/lines.lua.

-- Makes deliveries due again whose leases have run out.
local function take_back(endpoint, now)
  local leased, due = leased_key(endpoint), due_key(endpoint)
  for _, event in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZREM', leased, event)
    redis.call('ZADD', due, now, event)
    stand_back(endpoint, event)
  end
end

-- The names of deliveries, each given as {endpoint, event, …}, in the record of what a worker holds.
local function names_of(deliveries)
  local names = {}
  for i, delivery in ipairs(deliveries) do names[i] = delivery[1] .. ' ' .. delivery[2] end
  return names
end

-- Records what a worker holds, so that it can be released at once when the worker is found dead.
local function note_leases(leases, claims, lease_end)
  local fields = {}
  for i, name in ipairs(names_of(claims)) do
    fields[2 * i - 1] = name
    fields[2 * i] = lease_end
  end
  redis.call('HSET', leases, unpack(fields))
  redis.call('EXPIRE', leases, LEASES_SECONDS)
end

-- Says how many more may go out, and from when on the rate counts them: no more than most_of are out at once and
-- no more start a second than the spacing allows (generic cell rate: rate_at is when the last one should have).
local function allowance(view, now, most)
  if view.paused or view.resume_at > now then return 0 end
  local free = math.min(most, most_of(view) - view.busy)
  local interval, burst = spacing_of(view)
  if interval <= 0 or free <= 0 then return free end
  local rate_at = math.max(view.rate_at, now - burst)
  -- What is due at this very moment must not be one too few by the last digit.
  return math.min(free, math.floor((now - rate_at) / interval + 1e-6)), rate_at, interval
end

-- Puts due deliveries of an endpoint under a lease; returns their events.
local function lease(endpoint, view, now, most, lease_end)
  local free, rate_at, interval = allowance(view, now, most)
  if free <= 0 then return {} end
  local taken = redis.call('ZRANGEBYSCORE', due_key(endpoint), '-inf', now, 'LIMIT', 0, free)
  if #taken == 0 then return taken end
  local leases = {}
  for _, event in ipairs(taken) do
    leases[#leases + 1] = lease_end
    leases[#leases + 1] = event
  end
  redis.call('ZREM', due_key(endpoint), unpack(taken))
  redis.call('ZADD', leased_key(endpoint), unpack(leases))
  view.busy, view.lease_end = view.busy + #taken, math.min(view.lease_end or lease_end, lease_end)
  if rate_at then
    view.rate_at = rate_at + #taken * interval
    set_state(endpoint, 'rate_at', view.rate_at)
  end
  return taken
end
