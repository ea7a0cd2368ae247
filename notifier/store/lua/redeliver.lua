-- include: lib/queue.lua
-- include: lib/lines.lua
-- Makes a delivery due at once, whatever became of it before, with the whole retry schedule ahead of it.
-- KEYS: 1 delivery:<id>, 2 ready:<partition>
-- ARGV: 1 endpoint, 2 event, 3 TTL of the record in s
-- Returns: 1; 0 when the event or the endpoint is gone; 2 when an attempt is under way
if redis.call('EXISTS', 'sn:event:' .. ARGV[2], 'sn:endpoint:' .. ARGV[1]) < 2 then return 0 end
if redis.call('ZSCORE', 'sn:leased:' .. ARGV[1], ARGV[2]) then return 2 end
redis.call('HSET', KEYS[1], 'status', 'pending', 'manual', 1, 'base', redis.call('HGET', KEYS[1], 'attempts') or 0)
redis.call('HDEL', KEYS[1], 'settled_at')
redis.call('EXPIRE', KEYS[1], ARGV[3])
local logged = redis.call('HMGET', 'sn:event:' .. ARGV[2], 'space', 'sequence')
local ordered = redis.call('HGET', 'sn:run:' .. ARGV[1], 'ordered') == '1' and logged[1] and logged[1] ~= ''
if not ordered or join_line(ARGV[1], logged[1], logged[2], ARGV[2]) then
  redis.call('ZADD', 'sn:due:' .. ARGV[1], now_ms(), ARGV[2])
  file_endpoint(KEYS[2], ARGV[1], 0)
end
return 1
