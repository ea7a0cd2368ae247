-- include: lib/log.lua
-- Logs an event that is not about a Space, and puts it in the outbox. Where it reports a change of a watch, the
-- watch is changed in the same step.
-- KEYS: 1 watch:<id> or ''
-- ARGV: 1 id, 2 type, 3 body, 4 routing as JSON, 5 TTL in s, 6 the watch as JSON, 7 the JSON that it
--       replaces ('' = no watch), then per Space that the event lists: id, the version that it lists
-- Returns: 1; 0 when the watch is gone, or it or one of the Spaces was changed since it was read
if ARGV[7] ~= '' then
  if redis.call('GET', KEYS[1]) ~= ARGV[7] then return 0 end
  for i = 8, #ARGV, 2 do
    if redis.call('HGET', 'sn:space:' .. ARGV[i], 'version') ~= ARGV[i + 1] then return 0 end
  end
  redis.call('SET', KEYS[1], ARGV[6])
end
log_event(ARGV[1], ARGV[2], ARGV[3], ARGV[4], '', '', ARGV[5])
for i = 8, #ARGV, 2 do
  local mentions = 'sn:space:' .. ARGV[i] .. ':mentions'
  redis.call('SADD', mentions, ARGV[1])
  redis.call('EXPIRE', mentions, ARGV[5])
end
return 1
