-- include: lib/queue.lua
-- include: lib/lines.lua
-- include: lib/due.lua
-- Makes events owed to endpoints: each gets each into its due queue, once however often this runs.
-- KEYS: 1 outbox
-- ARGV: 1 TTL of the records of who is owed in s, 2 JSON of {endpoints, events}: the endpoints as [id, partition,
--       whether it wants order], the events as [id, whether all are named that it is owed to, their places in the
--       list of endpoints, from 1]; those of one Space by sequence
-- Returns: the partitions that now have work and no wakeup on its way
local now, endpoints, events = now_ms(), unpack(cjson.decode(ARGV[2]))
local exists, owes, due = {}, {}, {}

for place, endpoint in ipairs(endpoints) do
  exists[place] = redis.call('EXISTS', 'sn:endpoint:' .. endpoint[1]) == 1
end
for _, entry in ipairs(events) do
  local event, complete, wanted = entry[1], entry[2], entry[3]
  local owed = 'sn:owed:' .. event
  local logged = redis.call('HMGET', 'sn:event:' .. event, 'serial', 'space', 'sequence')
  local serial, space = logged[1], logged[2] or ''
  local places, ids = {}, {}
  for _, place in ipairs(wanted) do
    if serial and exists[place] then
      places[#places + 1] = place
      ids[#ids + 1] = endpoints[place][1]
    end
  end
  if #ids > 0 then
    local before = redis.call('SMISMEMBER', owed, unpack(ids))
    redis.call('SADD', owed, unpack(ids))
    redis.call('EXPIRE', owed, ARGV[1])
    -- Events of one millisecond leave in the order of the log: the serial's last digits are the fraction.
    local score = now - 1 + (tonumber(serial) % 1000) / 1000
    for i, place in ipairs(places) do
      if before[i] == 0 then
        add(owes, place, serial, event)
        local ordered = endpoints[place][3] and space ~= ''
        if not ordered or join_line(ids[i], space, logged[3], event) then add(due, place, score, event) end
      end
    end
  end
  if complete then redis.call('ZREM', KEYS[1], event) end
end

for place, queue in pairs(owes) do
  redis.call('ZADD', 'sn:owes:' .. endpoints[place][1], unpack(queue))
end
return make_due(endpoints, due)
