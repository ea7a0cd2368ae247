#!lua
-- include: lib/time.lua
-- include: lib/queue.lua
-- include: lib/record.lua
-- include: lib/state.lua
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
-- KEYS: 1 ready, 2 leases:<worker>, or none
-- ARGV: 1 JSON of what is asked for: how many to claim at most (limit), the lease in ms (lease), the TTL of the
--       records in s (ttl), and the outcomes (lib/settle.lua); 2 the breaker's figures as JSON (lib/breaker.lua),
--       with the law of the pace (lib/pace.lua); then each outcome's attempt as JSON text, which is only stored here
-- Returns: {how many outcomes were stale, endpoints that have failed for too long, generation of the endpoints
--          here, lease end in ms, claims (lib/claim.lua), in how many ms there is next something to do (-1 =
--          never)}
local now, views, asked = now_ms(), {}, cjson.decode(ARGV[1])
local stale, given_up = 0, {}
if #asked.outcomes > 0 then
  if KEYS[2] then redis.call('HDEL', KEYS[2], unpack(names_of(asked.outcomes))) end
  stale, given_up = settle(KEYS[1], views, asked, {unpack(ARGV, 3)}, now, cjson.decode(ARGV[2]))
end

local lease_end, claims = now + asked.lease, {}
if asked.limit > 0 then
  -- The partition's wakeup is taken at the same time: what becomes due from now on needs a new one.
  redis.call('DEL', partition_wakeup_key)
  claims = claim(KEYS[1], views, asked.limit, lease_end, now)
  if KEYS[2] and #claims > 0 then note_leases(KEYS[2], claims, lease_end) end
end
local next_at = head(KEYS[1])
return {
  stale, given_up, redis.call('GET', partition_generation_key) or '', lease_end, claims,
  next_at and math.max(0, math.ceil(next_at - now)) or -1,
}
