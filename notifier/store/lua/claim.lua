-- include: lib/queue.lua
-- include: lib/lines.lua
-- Claims due deliveries of one partition under a lease, the endpoints taking turns.
-- A lease that has run out makes its delivery due again. Per endpoint, no more than max_concurrency are out at
-- once and no more than rate_limit start a second (generic cell rate: rate_at is when the next may start), and
-- one whose breaker is open (lib/breaker.lua) gets one at a time.
-- The partition's nudge is taken at the same time: what becomes due from now on needs a new one.
-- KEYS: 1 ready:<partition>, 2 nudged:deliver:<partition>
-- ARGV: 1 how many at most, 2 lease in ms
-- Returns: {generation of the endpoints, lease end in ms, claims, events}: a claim being {endpoint, event,
--          attempts made, attempts before the last redeliver, manual (1/0)}, an event {id, body, when it was
--          committed in ms}; one that has expired is left out
redis.call('DEL', KEYS[2])
local now = now_ms()
local wanted, lease_end = tonumber(ARGV[1]), now + tonumber(ARGV[2])
local waiting = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, wanted)
local share = math.max(1, math.ceil(wanted / math.max(#waiting, 1)))
local claims, events, read = {}, {}, {}

-- Makes deliveries due again whose leases have run out.
local function take_back(endpoint)
  local leased, due = 'sn:leased:' .. endpoint, 'sn:due:' .. endpoint
  for _, event in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZREM', leased, event)
    redis.call('ZADD', due, now, event)
    stand_back(endpoint, event)
  end
end

-- Says how many more may go out, and from when on the rate counts them.
local function allowance(run, busy)
  if run.paused or run.resume_at > now then return 0 end
  local free = math.min(share, run.most - busy, wanted - #claims)
  if run.interval <= 0 or free <= 0 then return free end
  -- A second's worth may go at once; after that one every interval.
  local burst = math.max(1000, run.interval)
  local rate_at = math.max(run.rate_at, now - burst)
  return math.min(free, math.floor((now - rate_at) / run.interval)), rate_at
end

local function claim(endpoint, event)
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

for _, endpoint in ipairs(waiting) do
  local run = read_run(endpoint)
  local busy, first_end = read_leases(endpoint)
  if first_end and first_end <= now then
    take_back(endpoint)
    busy, first_end = read_leases(endpoint)
  end
  local free, rate_at = allowance(run, busy)
  local taken = {}
  if free > 0 then
    taken = redis.call('ZRANGEBYSCORE', 'sn:due:' .. endpoint, '-inf', now, 'LIMIT', 0, free)
  end
  -- Whoever was served goes to the end of the line; whoever was not keeps its place.
  local not_before
  if #taken > 0 then
    local leases = {}
    for _, event in ipairs(taken) do
      leases[#leases + 1] = lease_end
      leases[#leases + 1] = event
      claim(endpoint, event)
    end
    redis.call('ZREM', 'sn:due:' .. endpoint, unpack(taken))
    redis.call('ZADD', 'sn:leased:' .. endpoint, unpack(leases))
    busy, first_end = busy + #taken, math.min(first_end or lease_end, lease_end)
    if rate_at then
      run.rate_at = rate_at + #taken * run.interval
      redis.call('HSET', 'sn:run:' .. endpoint, 'rate_at', run.rate_at)
    end
    not_before = now
  else
    not_before = tonumber(redis.call('ZSCORE', KEYS[1], endpoint))
  end
  file_under(KEYS[1], endpoint, run, busy, first_end, not_before)
end
return {redis.call('GET', 'sn:endpoints:generation') or '', lease_end, claims, events}
