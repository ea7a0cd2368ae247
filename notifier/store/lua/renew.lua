#!lua
-- include: lib/time.lua
-- include: lib/queue.lua
-- include: lib/state.lua
-- include: lib/filing.lua
-- include: lib/lines.lua
-- Renews the leases that a worker holds in a partition. Its other recorded leases become due at once:
-- claims whose answer it never got, or all of them if it is dead.
-- KEYS: 1 leases:<worker>, 2 ready, 3 wakeup
-- ARGV: 1 lease in ms, then '<endpoint> <event>' of each lease that it holds
-- Returns: {the new end of the leases in ms, how many were released, the names of the leases that were prolonged}
local now, in_hand, renewed, released, count = now_ms(), {}, {}, {}, 0
local lease_end = now + tonumber(ARGV[1])
for i = 2, #ARGV do in_hand[ARGV[i]] = true end

local held = redis.call('HGETALL', KEYS[1])
for i = 1, #held, 2 do
  local name, known_end = held[i], tonumber(held[i + 1])
  local endpoint, event = string.match(name, '^(%S+) (%S+)$')
  local leased = leased_key(endpoint)
  -- Another worker may hold it by now, or its endpoint be gone.
  local is_held = tonumber(redis.call('ZSCORE', leased, event) or 0) == known_end
  -- The end that counts is the one on record: the answer to an earlier renewal may have been lost.
  if is_held and in_hand[name] then
    redis.call('ZADD', leased, lease_end, event)
    redis.call('HSET', KEYS[1], name, lease_end)
    renewed[#renewed + 1] = name
  elseif not in_hand[name] then
    redis.call('HDEL', KEYS[1], name)
    if is_held then
      redis.call('ZREM', leased, event)
      redis.call('ZADD', due_key(endpoint), now, event)
      stand_back(endpoint, event)
      released[endpoint] = true
      count = count + 1
    end
  end
end

for endpoint in pairs(released) do file_endpoint(KEYS[2], endpoint, 0) end
-- A wakeup that a dead worker took is lost.
if count > 0 then redis.call('DEL', KEYS[3]) end
return {lease_end, count, renewed}
