-- include: lib/queue.lua
-- include: lib/lines.lua
-- Claims due deliveries of one partition under a lease, the endpoints taking turns.
-- A lease that has run out makes its delivery due again. Per endpoint, no more than max_concurrency are out at
-- once and no more than rate_limit start a second (generic cell rate: rate_at is when the next may start), and
-- one whose breaker is open (lib/breaker.lua) gets one at a time.
-- The partition's nudge is taken at the same time: what becomes due from now on needs a new one.
-- KEYS: 1 ready:<partition>, 2 nudged:deliver:<partition>
-- ARGV: 1 how many at most, 2 lease in ms
-- Returns: {generation of the endpoints, claims}, a claim being {endpoint, event, lease end in ms, attempts
--          made, attempts before the last redeliver, manual (1/0), body or '' when the event has expired,
--          when it was committed in ms}
redis.call('DEL', KEYS[2])
local now = now_ms()
local wanted, lease_end = tonumber(ARGV[1]), now + tonumber(ARGV[2])
local waiting = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, wanted)
local share = math.max(1, math.ceil(wanted / math.max(#waiting, 1)))
local claimed = {}

local function allowance(endpoint, leased)
  local run = redis.call('HMGET', 'sn:run:' .. endpoint, 'paused', 'resume_at', 'max_concurrency', 'interval_ms', 'rate_at',
    'open_until')
  if run[1] == '1' or tonumber(run[2] or 0) > now then return 0 end
  local most = tonumber(run[6] or 0) > 0 and 1 or tonumber(run[3] or 16)
  local free = math.min(share, most - redis.call('ZCARD', leased), wanted - #claimed)
  local interval = tonumber(run[4] or 0)
  if interval <= 0 or free <= 0 then return free end
  -- A second's worth may go at once; after that one every interval.
  local burst = math.max(1000, interval)
  local rate_at = math.max(tonumber(run[5] or 0), now - burst)
  return math.min(free, math.floor((now - rate_at) / interval)), interval, rate_at
end

for _, endpoint in ipairs(waiting) do
  local due, leased = 'sn:due:' .. endpoint, 'sn:leased:' .. endpoint
  for _, event in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZREM', leased, event)
    redis.call('ZADD', due, now, event)
    stand_back(endpoint, event)
  end
  local free, interval, rate_at = allowance(endpoint, leased)
  local taken = {}
  if free > 0 then taken = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, free) end
  if #taken > 0 then
    local leases = {}
    for _, event in ipairs(taken) do
      leases[#leases + 1] = lease_end
      leases[#leases + 1] = event
    end
    redis.call('ZREM', due, unpack(taken))
    redis.call('ZADD', leased, unpack(leases))
  end
  for _, event in ipairs(taken) do
    local delivery = 'sn:delivery:dlv_' .. string.sub(event, 5) .. string.sub(endpoint, 4)
    local record = redis.call('HMGET', delivery, 'attempts', 'base', 'manual')
    local logged = redis.call('HMGET', 'sn:event:' .. event, 'body', 'at')
    claimed[#claimed + 1] = {
      endpoint, event, lease_end, tonumber(record[1] or 0), tonumber(record[2] or 0), tonumber(record[3] or 0),
      logged[1] or '', tonumber(logged[2] or 0),
    }
  end
  if interval and interval > 0 then
    redis.call('HSET', 'sn:run:' .. endpoint, 'rate_at', rate_at + #taken * interval)
  end
  -- Whoever was served goes to the end of the line; whoever was not keeps its place.
  if #taken > 0 then
    file_endpoint(KEYS[1], endpoint, now)
  else
    file_endpoint(KEYS[1], endpoint, tonumber(redis.call('ZSCORE', KEYS[1], endpoint)))
  end
end
return {redis.call('GET', 'sn:endpoints:generation') or '', claimed}
