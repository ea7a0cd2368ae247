#!lua
-- include: lib/time.lua
-- include: lib/queue.lua
-- include: lib/state.lua
-- include: lib/lines.lua
-- include: lib/wakeup.lua
-- include: lib/due.lua
-- Makes events owed to endpoints of a partition: each gets each into its due queue, once however often this runs.
-- KEYS: 1 ready
-- ARGV: 1 TTL of the records of who is owed in s, 2 JSON of {endpoints, events}: the endpoints as [id, whether it
--       wants order], the events as [id, serial, Space ('' = none), sequence, their places in the list of endpoints,
--       from 1]; those of one Space by sequence
-- Returns: {whether the partition has work and no wakeup on its way (1/0), the endpoints that are not known here}
local now, batch = now_ms(), cjson.decode(ARGV[2])
local ids, known, strangers, history, due = {}, {}, {}, {}, {}

for place, endpoint in ipairs(batch[1]) do
  ids[place], known[place] = endpoint[1], is_here(endpoint[1])
  if not known[place] then strangers[#strangers + 1] = endpoint[1] end
end
for _, entry in ipairs(batch[2]) do
  local event, serial, space, sequence = unpack(entry, 1, 4)
  local places, wanted = {}, {}
  for _, place in ipairs(entry[5]) do
    if known[place] then
      places[#places + 1] = place
      wanted[#wanted + 1] = ids[place]
    end
  end
  if #wanted > 0 then
    local recipients = recipients_key(event)
    local before = redis.call('SMISMEMBER', recipients, unpack(wanted))
    redis.call('SADD', recipients, unpack(wanted))
    redis.call('EXPIRE', recipients, ARGV[1])
    -- Events of one millisecond leave in the order of the log: the serial's last digits are the fraction.
    local score = now - 1 + (serial % 1000) / 1000
    for i, place in ipairs(places) do
      if before[i] == 0 then
        add(history, place, serial, event)
        local ordered = batch[1][place][2] and space ~= ''
        if not ordered or join_line(wanted[i], space, sequence, event) then add(due, place, score, event) end
      end
    end
  end
end

for place, queue in pairs(history) do redis.call('ZADD', history_key(ids[place]), unpack(queue)) end
return {make_due(ids, due) and 1 or 0, strangers}
