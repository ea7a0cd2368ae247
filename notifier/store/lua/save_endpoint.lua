-- include: lib/queue.lua
-- include: lib/view.lua
-- include: lib/filing.lua
-- include: lib/log.lua
-- Creates an endpoint or changes one, together with the limits that the claim keeps and the event that tells
-- of the change, if any.
-- KEYS: 1 endpoint:<id>, 2 run:<id>, 3 ready:<partition>
-- ARGV: 1 id, 2 endpoint as JSON, 3 the JSON that it replaces ('' = create), 4 paused (1/0), 5 max_concurrency,
--       6 ms between two sends (0 = no limit), 7 wants order (1/0), 8 when its next challenge is due in ms ('' =
--       never), 9 whether it is repaired (1/0), 10 the concurrency of the first contact, 11 whether its kind has a
--       memory (1/0), 12 TTL of the event in s, then the event, if any: id, type, body, routing as JSON
-- Returns: 1; 0 when there is no such endpoint; -1 when it was changed since it was read
if ARGV[3] ~= '' then
  local stored = redis.call('GET', KEYS[1])
  if not stored then return 0 end
  if stored ~= ARGV[3] then return -1 end
end
local was_paused = redis.call('HGET', KEYS[2], 'paused') == '1'
redis.call('SET', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'paused', ARGV[4], 'max_concurrency', ARGV[5], 'interval_ms', ARGV[6],
  'ordered', ARGV[7], 'remembers', ARGV[11])
-- Enabling an endpoint says that it is repaired: its record of failures starts again.
-- What was learned of its pace is forgotten.
local is_mended = ARGV[9] == '1' or was_paused and ARGV[4] == '0'
if is_mended then
  redis.call('HSET', KEYS[2], 'failures', 0, 'resume_at', 0, 'open_until', 0, 'probes', 0, 'failing_since', '')
end
if is_mended or ARGV[3] == '' then redis.call('HSET', KEYS[2], 'concurrency', ARGV[10], 'pace', '') end
if ARGV[3] == '' then redis.call('ZADD', 'sn:endpoints', redis.call('INCR', 'sn:serial'), ARGV[1]) end
redis.call('INCR', 'sn:endpoints:generation')
file_endpoint(KEYS[3], ARGV[1], 0)
if ARGV[8] == '' then
  redis.call('ZREM', 'sn:challenges', ARGV[1])
else
  redis.call('ZADD', 'sn:challenges', ARGV[8], ARGV[1])
end
if ARGV[13] then log_event(ARGV[13], ARGV[14], ARGV[15], ARGV[16], '', '', ARGV[12]) end
return 1
