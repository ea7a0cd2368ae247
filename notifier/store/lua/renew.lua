-- Prolongs the leases that a worker holds in a partition, as far as it still holds them.
-- KEYS: 1 leases:<worker>:<partition>
-- ARGV: 1 lease in ms, then per lease: endpoint, event, its end in ms as the worker knows it
-- Returns: the new end of these leases in ms
local time = redis.call('TIME')
local lease_end = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[1])
for i = 2, #ARGV, 3 do
  local endpoint, event = ARGV[i], ARGV[i + 1]
  local leased = 'sn:leased:' .. endpoint
  if tonumber(redis.call('ZSCORE', leased, event)) == tonumber(ARGV[i + 2]) then
    redis.call('ZADD', leased, lease_end, event)
    redis.call('HSET', KEYS[1], endpoint .. ' ' .. event, lease_end)
  end
end
return lease_end
