-- include: lib/log.lua
-- Logs an event that is not about a Space, and puts it in the outbox. Where it tells of a watch's first look,
-- the watch is marked in the same step.
-- KEYS: 1 watch:<id> or ''
-- ARGV: 1 id, 2 type, 3 body, 4 routing as JSON, 5 TTL in s, 6 the watch as JSON, 7 the JSON that it
--       replaces ('' = no watch), then the Spaces that the event tells of
-- Returns: 1; 0 when the watch is gone or was changed since it was read
if ARGV[7] ~= '' then
  if redis.call('GET', KEYS[1]) ~= ARGV[7] then return 0 end
  redis.call('SET', KEYS[1], ARGV[6])
end
log_event(ARGV[1], ARGV[2], ARGV[3], ARGV[4], '', '', ARGV[5])
for i = 8, #ARGV do
  local mentions = 'sn:space:' .. ARGV[i] .. ':mentions'
  redis.call('SADD', mentions, ARGV[1])
  redis.call('EXPIRE', mentions, ARGV[5])
end
return 1
