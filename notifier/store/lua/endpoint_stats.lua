#!lua flags=no-writes
-- include: lib/time.lua
-- include: lib/queue.lua
-- Reads the figures of an endpoint, all at one moment.
-- KEYS: 1 run:<id>, 2 due:<id>, 3 leased:<id>, 4 lines:<id>
-- ARGV: the fields of run:<id> to read
-- Returns: {now in ms, how many are due, how many wait for their time, how many are in flight, how many stand
--          in lines, when the first falls due in ms ('' = none waits), the fields…}
local now = now_ms()
local due = redis.call('ZCOUNT', KEYS[2], '-inf', now)
local answer = {
  now, due, redis.call('ZCARD', KEYS[2]) - due, redis.call('ZCARD', KEYS[3]), redis.call('HLEN', KEYS[4]),
  head(KEYS[2]) or '',
}
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV))) do answer[6 + i] = value or '' end
return answer
