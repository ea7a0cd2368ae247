#!lua
-- include: lib/time.lua
-- include: lib/queue.lua
-- include: lib/record.lua
-- include: lib/state.lua
-- include: lib/lines.lua
-- include: lib/missed.lua
-- include: lib/wakeup.lua
-- Makes a batch of what an endpoint missed due. It is done once: repeated, or done by two workers, it changes
-- nothing and returns what was queued the first time.
-- KEYS: 1 recovered:<id>, 2 ready
-- ARGV: 1 endpoint, 2 serial up to which the log was worked off before, 3 TTL in s, then per event to send, in the
--       order of the log: id, serial, Space ('' = none), sequence
-- Returns: {how many were queued (-1 = the endpoint is gone, -2 = it is paused), whether the partition needs a
--          wakeup (1/0)}
local endpoint, now, ttl = ARGV[1], now_ms(), ARGV[3]
local queued = tonumber(redis.call('HGET', KEYS[1], ARGV[2]))
if queued then return {queued, 0} end
if not is_here(endpoint) then return {-1, 0} end
local state = read_state(endpoint, 'paused', 'ordered')
if state[1] == '1' then return {-2, 0} end

queued = 0
for i = 4, #ARGV, 4 do
  local event, serial, space, sequence = unpack(ARGV, i, i + 3)
  if is_missed(endpoint, event) then
    -- One that was never attempted needs no record (docs/architecture.md, "What a pending delivery costs").
    if status_of(endpoint, event) then reopen(endpoint, event, ttl) end
    redis.call('SADD', recipients_key(event), endpoint)
    redis.call('EXPIRE', recipients_key(event), ttl)
    redis.call('ZADD', history_key(endpoint), serial, event)
    local ordered = state[2] == '1' and space ~= ''
    if not ordered or join_line(endpoint, space, sequence, event) then
      redis.call('ZADD', due_key(endpoint), now - 1 + i / #ARGV, event)
    end
    queued = queued + 1
  end
end
redis.call('HSET', KEYS[1], ARGV[2], queued)
redis.call('EXPIRE', KEYS[1], ttl)
if queued == 0 then return {0, 0} end
redis.call('ZADD', KEYS[2], 'LT', now, endpoint)
return {queued, needs_wakeup(partition_wakeup_key) and 1 or 0}
