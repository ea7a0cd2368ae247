-- include: lib/queue.lua
-- include: lib/view.lua
-- include: lib/filing.lua
-- include: lib/lines.lua
-- include: lib/memory.lua
-- include: lib/taken.lua
-- include: lib/pace.lua
-- include: lib/pacing.lua
-- include: lib/breaker.lua
-- include: lib/seen.lua
-- include: lib/settle.lua
-- include: lib/lease.lua
-- include: lib/claim.lua
-- A worker's turn at a partition: records the outcomes of attempts, and claims what is due, which may be what
-- those outcomes have set free.
-- KEYS: 1 ready:<partition>, 2 wakeup:deliver:<partition>, 3 leases:<worker>:<partition>, or none
-- ARGV: 1 how many to claim at most, 2 lease in ms, 3 TTL of the records in s, 4 the breaker's figures as JSON
--       (lib/breaker.lua), 5 the law of the pace as JSON (lib/pace.lua), 6 the outcomes as JSON
--       (lib/settle.lua), then each one's attempt as JSON text, which is only stored here
-- Returns: {how many outcomes were stale, endpoints that have failed for too long, generation of the endpoints,
--          lease end in ms, claims, events (lib/claim.lua), in how many ms there is next something to do (-1 =
--          never)}
local now, views = now_ms(), {}
local stale, given_up = 0, {}
local outcomes = cjson.decode(ARGV[6])
if #outcomes > 0 then
  if KEYS[3] then redis.call('HDEL', KEYS[3], unpack(names_of(outcomes))) end
  local figures = cjson.decode(ARGV[4])
  figures.pace = cjson.decode(ARGV[5])
  stale, given_up = settle(KEYS[1], views, outcomes, {unpack(ARGV, 7)}, now, tonumber(ARGV[3]), figures)
end

local wanted, lease_end = tonumber(ARGV[1]), now + tonumber(ARGV[2])
local claims, events = {}, {}
if wanted > 0 then
  -- The partition's wakeup is taken at the same time: what becomes due from now on needs a new one.
  redis.call('DEL', KEYS[2])
  claims, events = claim(KEYS[1], views, wanted, lease_end, now)
  if KEYS[3] and #claims > 0 then note_leases(KEYS[3], claims, lease_end) end
end
local next_at = head(KEYS[1])
return {
  stale, given_up, redis.call('GET', 'sn:endpoints:generation') or '', lease_end, claims, events,
  next_at and math.max(0, math.ceil(next_at - now)) or -1,
}
