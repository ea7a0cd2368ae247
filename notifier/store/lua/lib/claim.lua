-- Claiming what is due. Included ahead of a script by its "-- include:" line, after lib/queue.lua and
-- lib/lines.lua.

-- Makes deliveries due again whose leases have run out.
local function take_back(endpoint, now)
  local leased, due = 'sn:leased:' .. endpoint, 'sn:due:' .. endpoint
  for _, event in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZREM', leased, event)
    redis.call('ZADD', due, now, event)
    stand_back(endpoint, event)
  end
end

-- Says how many more may go out, and from when on the rate counts them: no more than max_concurrency are out at
-- once and no more than rate_limit start a second (generic cell rate: rate_at is when the next may start).
local function allowance(view, now, most)
  if view.paused or view.resume_at > now then return 0 end
  local free = math.min(most, most_of(view) - view.busy)
  if view.interval <= 0 or free <= 0 then return free end
  -- A second's worth may go at once; after that one every interval.
  local burst = math.max(1000, view.interval)
  local rate_at = math.max(view.rate_at, now - burst)
  return math.min(free, math.floor((now - rate_at) / view.interval)), rate_at
end

-- Puts due deliveries of an endpoint under a lease; gives their events.
local function lease(endpoint, view, now, most, lease_end)
  local free, rate_at = allowance(view, now, most)
  if free <= 0 then return {} end
  local taken = redis.call('ZRANGEBYSCORE', 'sn:due:' .. endpoint, '-inf', now, 'LIMIT', 0, free)
  if #taken == 0 then return taken end
  local leases = {}
  for _, event in ipairs(taken) do
    leases[#leases + 1] = lease_end
    leases[#leases + 1] = event
  end
  redis.call('ZREM', 'sn:due:' .. endpoint, unpack(taken))
  redis.call('ZADD', 'sn:leased:' .. endpoint, unpack(leases))
  view.busy, view.lease_end = view.busy + #taken, math.min(view.lease_end or lease_end, lease_end)
  if rate_at then
    view.rate_at = rate_at + #taken * view.interval
    redis.call('HSET', 'sn:run:' .. endpoint, 'rate_at', view.rate_at)
  end
  return taken
end

-- Claims up to so many due deliveries of a partition, the endpoints taking turns.
-- Returns claims, each {endpoint, event, attempts made, attempts before the last redeliver, manual (1/0)}, and
-- their events, each {id, body, when it was committed in ms}; one that has expired is left out.
local function claim(ready, views, wanted, lease_end, now)
  local waiting = redis.call('ZRANGEBYSCORE', ready, '-inf', now, 'LIMIT', 0, wanted)
  local share = math.max(1, math.ceil(wanted / math.max(#waiting, 1)))
  local claims, events, read = {}, {}, {}
  for _, endpoint in ipairs(waiting) do
    local view = views[endpoint] or view_of(endpoint)
    if view.lease_end and view.lease_end <= now then
      take_back(endpoint, now)
      view = view_of(endpoint)
    end
    local taken = lease(endpoint, view, now, math.min(share, wanted - #claims), lease_end)
    for _, event in ipairs(taken) do
      local record = redis.call('HMGET', delivery_key(endpoint, event), 'attempts', 'base', 'manual')
      claims[#claims + 1] = {
        endpoint, event, tonumber(record[1] or 0), tonumber(record[2] or 0), tonumber(record[3] or 0),
      }
      if not read[event] then
        read[event] = true
        local logged = redis.call('HMGET', 'sn:event:' .. event, 'body', 'at')
        if logged[1] then events[#events + 1] = {event, logged[1], tonumber(logged[2])} end
      end
    end
    -- Whoever was served goes to the end of the line; whoever was not keeps its place.
    file_under(ready, endpoint, view, #taken > 0 and now or tonumber(redis.call('ZSCORE', ready, endpoint)))
  end
  return claims, events
end
