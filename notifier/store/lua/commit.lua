#!lua
-- include: lib/time.lua
-- include: lib/polls.lua
-- include: lib/log.lua
-- The atomic commit: the new state of a Space, its events and their outbox entries, its next poll and its
-- timers, or nothing.
-- KEYS: 1 space:<id>, 2 space:<id>:watches
-- ARGV: 1 JSON of {id, version (the one that was read), doc (the state as JSON), phase, poll (at in ms, urgency;
--       'forget' or 'keep' in its place), timers (kind -> ms), ttl of events and forgotten Spaces in s, watches (ids),
--       events (each id, type, body, routing as JSON, sequence)}
-- Returns: the new version; -1 when the Space, or one of its watches, changed since it was read
local asked = cjson.decode(ARGV[1])
local id, phase, poll = asked.id, asked.phase, asked.poll
local before = redis.call('HMGET', KEYS[1], 'version', 'phase')
if tonumber(before[1] or 0) ~= asked.version then return -1 end
for _, watch in ipairs(asked.watches) do
  if redis.call('EXISTS', watch_key(watch)) == 0 then return -1 end
end

local serial = redis.call('ZSCORE', spaces_key, id)
if not serial then
  serial = redis.call('INCR', serial_key)
  redis.call('ZADD', spaces_key, serial, id)
end
for _, watch in ipairs(asked.watches) do
  redis.call('SADD', KEYS[2], watch)
  redis.call('ZADD', watch_spaces_key(watch), serial, id)
end
if before[2] ~= phase then
  if before[2] then redis.call('ZREM', spaces_in_key(before[2]), id) end
  redis.call('ZADD', spaces_in_key(phase), serial, id)
end
local version = asked.version + 1
redis.call('HSET', KEYS[1], 'version', version, 'doc', asked.doc, 'phase', phase)
if poll == 'forget' then
  end_poll('lookup', id)
  redis.call('EXPIRE', KEYS[1], asked.ttl)
elseif poll ~= 'keep' then
  file_poll('lookup', id, poll.at, poll.urgency)
  redis.call('PERSIST', KEYS[1])
end
for _, kind in ipairs(TIMER_KINDS) do
  local at = asked.timers[kind]
  if at then redis.call('ZADD', timers_key(kind), at, id) else redis.call('ZREM', timers_key(kind), id) end
end
if phase == 'ended' or phase == 'canceled' then
  -- Its end is believed, so it is no longer a vanishing that has to be explained.
  redis.call('ZREM', cycle_polled_key, id)
  redis.call('ZREM', cycle_missing_key, id)
end
for _, event in ipairs(asked.events) do
  log_event(event.id, event.type, event.body, event.routing, id, event.sequence, asked.ttl)
end
return version
