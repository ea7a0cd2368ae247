#!lua
-- Takes what was dispatched out of the outbox and reads its oldest entries; those whose event has expired are
-- dropped from it.
-- KEYS: 1 outbox
-- ARGV: 1 how many at most, 2 whether with bodies (1 or 0), then the events that were dispatched
-- Returns: {the generation of the endpoints ('' = none yet), a list of {event, type, routing as JSON, serial,
--          Space ('' = none), sequence ('' = none), ms of commit, body if asked for}}
if #ARGV > 2 then redis.call('ZREM', KEYS[1], unpack(ARGV, 3)) end
local fields = {'type', 'routing', 'serial', 'space', 'sequence', 'at', ARGV[2] == '1' and 'body' or nil}
local entries = {}
for _, event in ipairs(redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)) do
  local logged = redis.call('HMGET', event_key(event), unpack(fields))
  if logged[1] then
    entries[#entries + 1] = {event, logged[1], logged[2], logged[3], logged[4] or '', logged[5] or '', logged[6],
      logged[7]}
  else
    redis.call('ZREM', KEYS[1], event)
  end
end
return {redis.call('GET', endpoints_generation_key) or '', entries}
