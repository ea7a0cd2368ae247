-- include: lib/polls.lua
-- include: lib/log.lua
-- The atomic commit: the new state of a Space, its events and their outbox entries, its next poll and its
-- timers, or nothing.
-- KEYS: 1 space:<id>, 2 space:<id>:watches
-- ARGV: 1 Space id, 2 version that was read, 3 state as JSON, 4 phase, 5 next poll in ms ('' = forget,
--       'keep' = as it is), 6 its urgency, 7 reminder and 8 erasure in ms ('' = none), 9 TTL of events and
--       forgotten Spaces in s, 10 number of watches, then the watch ids,
--       then per event: id, type, body, routing as JSON, sequence
-- Returns: the new version; -1 when the Space, or one of its watches, changed since it was read
local id, poll, ttl, watches = ARGV[1], ARGV[5], ARGV[9], tonumber(ARGV[10])
local before = redis.call('HMGET', KEYS[1], 'version', 'phase')
if tonumber(before[1] or 0) ~= tonumber(ARGV[2]) then return -1 end
for i = 11, 10 + watches do
  if redis.call('EXISTS', 'sn:watch:' .. ARGV[i]) == 0 then return -1 end
end

local serial = redis.call('ZSCORE', 'sn:spaces', id)
if not serial then
  serial = redis.call('INCR', 'sn:serial')
  redis.call('ZADD', 'sn:spaces', serial, id)
end
for i = 11, 10 + watches do
  redis.call('SADD', KEYS[2], ARGV[i])
  redis.call('ZADD', 'sn:watch:' .. ARGV[i] .. ':spaces', serial, id)
end
if before[2] ~= ARGV[4] then
  if before[2] then redis.call('ZREM', 'sn:spaces:' .. before[2], id) end
  redis.call('ZADD', 'sn:spaces:' .. ARGV[4], serial, id)
end
local version = tonumber(ARGV[2]) + 1
redis.call('HSET', KEYS[1], 'version', version, 'doc', ARGV[3], 'phase', ARGV[4])
if poll == '' then
  end_poll('lookup', id)
  redis.call('EXPIRE', KEYS[1], ttl)
elseif poll ~= 'keep' then
  file_poll('lookup', id, poll, ARGV[6])
  redis.call('PERSIST', KEYS[1])
end
for i, kind in ipairs({'reminder', 'erasure'}) do
  local at = ARGV[6 + i]
  if at == '' then redis.call('ZREM', 'sn:timers:' .. kind, id) else redis.call('ZADD', 'sn:timers:' .. kind, at, id) end
end
if ARGV[4] == 'ended' or ARGV[4] == 'canceled' then
  -- Its end is believed, so it is no longer a vanishing that has to be explained.
  redis.call('ZREM', 'sn:cycle:polled', id)
  redis.call('ZREM', 'sn:cycle:missing', id)
end
for i = 11 + watches, #ARGV, 5 do
  log_event(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], id, ARGV[i + 4], ttl)
end
return version
