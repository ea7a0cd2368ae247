-- include: lib/queue.lua
-- include: lib/lines.lua
-- include: lib/missed.lua
-- include: lib/recovery.lua
-- Makes a batch of what an endpoint missed due and takes its recovery on, in one step: a batch that is repeated,
-- or done by two workers at once, finds the recovery somewhere else.
-- KEYS: 1 recovery:<id>, 2 ready:<partition>, 3 wakeup:deliver:<partition>
-- ARGV: 1 id, 2 endpoint, 3 serial up to which the log was worked off before, 4 and is now, 5 how many events were
--       examined, 6 TTL in s, then the events to send, in the order of the log
-- Returns: 1 when the partition needs a wakeup, else 0
local id, endpoint, now = ARGV[1], ARGV[2], now_ms()
local record = redis.call('HMGET', KEYS[1], 'status', 'position', 'last')
if record[1] ~= 'running' then redis.call('ZREM', 'sn:recovering', id) end
if record[1] ~= 'running' or record[2] ~= ARGV[3] then return 0 end
if redis.call('EXISTS', 'sn:endpoint:' .. endpoint) == 0 then
  end_recovery(id, 'canceled', 'the endpoint was deleted', now)
  return 0
end
local run = redis.call('HMGET', 'sn:run:' .. endpoint, 'paused', 'ordered')
if run[1] == '1' then
  end_recovery(id, 'failed', 'nothing goes out to the endpoint any more; enable it and recover again', now)
  return 0
end

local queued = 0
for i = 7, #ARGV do
  local event = ARGV[i]
  local logged = redis.call('HMGET', 'sn:event:' .. event, 'serial', 'space', 'sequence')
  if logged[1] and is_missed(endpoint, event) then
    local delivery = delivery_key(endpoint, event)
    local attempts = redis.call('HGET', delivery, 'attempts')
    -- One that was never attempted needs no record (docs/architecture.md, "What a pending delivery costs").
    if attempts then
      redis.call('HSET', delivery, 'status', 'pending', 'manual', 1, 'base', attempts)
      redis.call('HDEL', delivery, 'settled_at')
      redis.call('EXPIRE', delivery, ARGV[6])
    end
    redis.call('SADD', 'sn:owed:' .. event, endpoint)
    redis.call('EXPIRE', 'sn:owed:' .. event, ARGV[6])
    redis.call('ZADD', 'sn:owes:' .. endpoint, logged[1], event)
    local ordered = run[2] == '1' and logged[2] ~= ''
    if not ordered or join_line(endpoint, logged[2], logged[3], event) then
      redis.call('ZADD', 'sn:due:' .. endpoint, now - 1 + i / #ARGV, event)
    end
    queued = queued + 1
  end
end

redis.call('HINCRBY', KEYS[1], 'considered', ARGV[5])
redis.call('HINCRBY', KEYS[1], 'queued', queued)
redis.call('HSET', KEYS[1], 'position', ARGV[4], 'updated_at', now)
redis.call('EXPIRE', KEYS[1], ARGV[6])
if tonumber(ARGV[4]) >= tonumber(record[3]) then
  end_recovery(id, 'done', '', now)
else
  redis.call('ZADD', 'sn:recovering', now, id)  -- behind the others that wait for their turn
end
if queued == 0 then return 0 end
redis.call('ZADD', KEYS[2], 'LT', now, endpoint)
return redis.call('SET', KEYS[3], 1, 'NX', 'PX', 5000) and 1 or 0
