-- include: lib/queue.lua
-- include: lib/lines.lua
-- Makes the deliveries due that a worker held in a partition when it died, without waiting for their leases to end.
-- KEYS: 1 leases:<worker>:<partition>, 2 ready:<partition>, 3 nudged:deliver:<partition>
-- ARGV: none
-- Returns: how many
local now, released, held = now_ms(), {}, redis.call('HGETALL', KEYS[1])
for i = 1, #held, 2 do
  local endpoint, event = string.match(held[i], '^(%S+) (%S+)$')
  local leased = 'sn:leased:' .. endpoint
  -- Another worker may hold it by now, or its endpoint be gone.
  if tonumber(redis.call('ZSCORE', leased, event)) == tonumber(held[i + 1]) then
    redis.call('ZREM', leased, event)
    redis.call('ZADD', 'sn:due:' .. endpoint, now, event)
    stand_back(endpoint, event)
    released[endpoint] = (released[endpoint] or 0) + 1
  end
end
local count = 0
for endpoint, number in pairs(released) do
  file_endpoint(KEYS[2], endpoint, 0)
  count = count + number
end
-- A wakeup that the dead worker took wakes nobody.
redis.call('DEL', KEYS[1], KEYS[3])
return count
