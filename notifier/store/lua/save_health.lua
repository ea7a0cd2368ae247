#!lua
-- include: lib/time.lua
-- include: lib/log.lua
-- Replaces the record of the source's health together with the events about the change, or nothing.
-- KEYS: 1 health
-- ARGV: 1 the record as JSON ('' = in good health), 2 what it replaces ('' = none), 3 TTL of events in s,
--       then per event: id, type, body, routing as JSON
-- Returns: 1, or 0 when the record was changed since it was read
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[1] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[1]) end
for i = 4, #ARGV, 4 do
  log_event(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], '', '', ARGV[3])
end
return 1
