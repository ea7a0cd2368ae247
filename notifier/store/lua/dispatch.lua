-- include: lib/queue.lua
-- include: lib/lines.lua
-- Makes one event owed to some endpoints: each gets it into its due queue, once however often this runs.
-- KEYS: 1 outbox
-- ARGV: 1 event id, 2 last chunk (1/0), 3 TTL of the record of who is owed in s, then per endpoint: id,
--       partition, whether it wants order (1/0)
-- Returns: the partitions that now have work and no nudge on its way
local now, event = now_ms(), ARGV[1]
local owed = 'sn:owed:' .. event
local logged = redis.call('HMGET', 'sn:event:' .. event, 'serial', 'space', 'sequence')
local serial, space = logged[1], logged[2] or ''
local partitions, nudges = {}, {}
-- Events of one millisecond leave in the order of the log: the serial's last digits are the fraction.
local due = now - 1 + (tonumber(serial or 0) % 1000) / 1000
for i = 4, #ARGV, 3 do
  local endpoint, partition = ARGV[i], ARGV[i + 1]
  if serial and redis.call('EXISTS', 'sn:endpoint:' .. endpoint) == 1 and redis.call('SADD', owed, endpoint) == 1 then
    redis.call('ZADD', 'sn:owes:' .. endpoint, serial, event)
    if ARGV[i + 2] == '0' or space == '' or join_line(endpoint, space, logged[3], event) then
      redis.call('ZADD', 'sn:due:' .. endpoint, due, event)
      -- Whoever waits for its turn already keeps it. One that may get nothing now (disabled, busy, slowed down)
      -- comes up all the same, and the claim files it where it belongs: rare, and cheaper than asking here.
      redis.call('ZADD', 'sn:ready:' .. partition, 'LT', due, endpoint)
      partitions[partition] = true
    end
  end
end
redis.call('EXPIRE', owed, ARGV[3])
if ARGV[2] == '1' then redis.call('ZREM', KEYS[1], event) end
for partition in pairs(partitions) do
  if redis.call('SET', 'sn:nudged:deliver:' .. partition, 1, 'NX', 'PX', 5000) then
    nudges[#nudges + 1] = tonumber(partition)
  end
end
return nudges
