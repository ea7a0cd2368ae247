#!lua
-- include: lib/time.lua
-- include: lib/log.lua
-- Creates an endpoint or changes one, together with the event that reports the change, if any. Its partition has
-- yet to take the change over (apply_endpoint.lua).
-- KEYS: 1 endpoint:<id>
-- ARGV: 1 JSON of {id, document, replaced ('' = create, else the text that was read), challenge_at in ms ('' =
--       never), repaired, ttl of the event in s, event (id, type, body, routing as JSON; none = no event)}
-- Returns: 1; 0 when there is no such endpoint; -1 when it was changed since it was read
local asked = cjson.decode(ARGV[1])
local id, event = asked.id, asked.event
if asked.replaced ~= '' then
  local stored = redis.call('GET', KEYS[1])
  if not stored then return 0 end
  if stored ~= asked.replaced then return -1 end
end
redis.call('SET', KEYS[1], asked.document)
local change = redis.call('INCR', serial_key)
if asked.replaced == '' then redis.call('ZADD', endpoints_key, change, id) end
redis.call('INCR', endpoints_generation_key)
redis.call('ZADD', endpoints_changed_key, change, id)
if asked.repaired then redis.call('SADD', endpoints_repaired_key, id) end
if asked.challenge_at == '' then
  redis.call('ZREM', challenges_key, id)
else
  redis.call('ZADD', challenges_key, asked.challenge_at, id)
end
if event then log_event(event.id, event.type, event.body, event.routing, '', '', asked.ttl) end
return 1
