-- include: lib/queue.lua
-- include: lib/view.lua
-- include: lib/filing.lua
-- include: lib/lines.lua
-- Makes a delivery due at once, whatever became of it before, with the whole retry schedule ahead of it. Where the
-- breaker is open, or the receiver has asked for a slower pace, it is the next probe, which need not wait for
-- longer than the receiver itself has asked.
-- KEYS: 1 delivery:<id>, 2 ready:<partition>
-- ARGV: 1 endpoint, 2 event, 3 TTL of the record in s
-- Returns: 1; 0 when the event or the endpoint is gone; 2 when an attempt is in flight
if redis.call('EXISTS', 'sn:event:' .. ARGV[2], 'sn:endpoint:' .. ARGV[1]) < 2 then return 0 end
if redis.call('ZSCORE', 'sn:leased:' .. ARGV[1], ARGV[2]) then return 2 end
local before = redis.call('HMGET', KEYS[1], 'status', 'attempts')
redis.call('HSET', KEYS[1], 'status', 'pending', 'manual', 1, 'base', before[2] or 0)
redis.call('HDEL', KEYS[1], 'settled_at')
-- Why it failed the last time is still true; that the receiver has it is no reason to be pending.
if before[1] == 'delivered' then redis.call('HDEL', KEYS[1], 'reason') end
redis.call('EXPIRE', KEYS[1], ARGV[3])
local logged = redis.call('HMGET', 'sn:event:' .. ARGV[2], 'space', 'sequence')
local ordered = redis.call('HGET', 'sn:run:' .. ARGV[1], 'ordered') == '1' and logged[1] and logged[1] ~= ''
local due, now, view = 'sn:due:' .. ARGV[1], now_ms(), view_of(ARGV[1])
local at = now
if view.open_until > 0 then
  -- The probe is whatever is due first.
  at = math.min(now, (head(due) or now) - 1)
  if view.resume_at <= view.open_until then
    -- The breaker stays open, as though its wait were over.
    redis.call('HSET', 'sn:run:' .. ARGV[1], 'open_until', math.min(view.open_until, now), 'resume_at', 0)
  end
elseif view.pace and view.pace.refusing then
  at = math.min(now, (head(due) or now) - 1)
  redis.call('HSET', 'sn:run:' .. ARGV[1], 'resume_at', math.min(view.resume_at, view.pace.asked_until or 0))
end
if not ordered or join_line(ARGV[1], logged[1], logged[2], ARGV[2]) then redis.call('ZADD', due, at, ARGV[2]) end
file_endpoint(KEYS[2], ARGV[1], 0)
return 1
