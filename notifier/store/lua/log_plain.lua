#!lua
-- include: lib/time.lua
-- include: lib/log.lua
-- Logs an event that is not about a Space, puts it in the outbox, and rings for a worker to dispatch it. Where it
-- reports a change of a watch, the watch is changed in the same step.
-- KEYS: 1 event:<id>, 2 watch:<id>, or none
-- ARGV: 1 JSON of {event (id, type, body, routing as JSON), ttl in s, document and replaced (of the watch, as it is to
--       be and as it was read), versions (Space id -> the version that the event lists)}
-- Returns: 1; 0 when the watch is gone, or it or one of the Spaces was changed since it was read
local asked = cjson.decode(ARGV[1])
local event = asked.event
if KEYS[2] then
  if redis.call('GET', KEYS[2]) ~= asked.replaced then return 0 end
  for space, version in pairs(asked.versions) do
    if redis.call('HGET', space_key(space), 'version') ~= version then return 0 end
  end
  redis.call('SET', KEYS[2], asked.document)
end
log_event(event.id, event.type, event.body, event.routing, '', '', asked.ttl)
for space in pairs(asked.versions) do
  local mentions = space_mentions_key(space)
  redis.call('SADD', mentions, event.id)
  redis.call('EXPIRE', mentions, asked.ttl)
end
redis.call('ZADD', wakeups_key, 'NX', now_ms(), 'dispatch')
return 1
