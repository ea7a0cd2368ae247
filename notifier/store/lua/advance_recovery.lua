#!lua
-- include: lib/time.lua
-- include: lib/recovery.lua
-- Takes a recovery on behind a batch that was made due, or ends it; where it is somewhere else by now, nothing.
-- KEYS: 1 recovery:<id>
-- ARGV: 1 id, 2 serial up to which the log was worked off before, 3 and is now, 4 how many events were examined,
--       5 how many were queued (-1 = the endpoint is gone, -2 = it is paused), 6 TTL in s
-- Returns: its status now ('' = there is none)
local id, queued, now = ARGV[1], tonumber(ARGV[5]), now_ms()
local record = redis.call('HMGET', KEYS[1], 'status', 'position', 'last')
if record[1] ~= 'running' then redis.call('ZREM', recovering_key, id) end
if record[1] ~= 'running' or record[2] ~= ARGV[2] then return record[1] or '' end
if queued == -1 then return end_recovery(id, 'canceled', 'the endpoint was deleted', now) end
if queued == -2 then
  return end_recovery(id, 'failed', 'nothing goes out to the endpoint any more; enable it and recover again', now)
end
redis.call('HINCRBY', KEYS[1], 'considered', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'queued', queued)
redis.call('HSET', KEYS[1], 'position', ARGV[3], 'updated_at', now)
redis.call('EXPIRE', KEYS[1], ARGV[6])
if tonumber(ARGV[3]) >= tonumber(record[3]) then return end_recovery(id, 'done', '', now) end
redis.call('ZADD', recovering_key, now, id)  -- behind the others that wait for their turn
return 'running'
