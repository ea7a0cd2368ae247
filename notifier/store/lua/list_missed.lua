-- include: lib/queue.lua
-- include: lib/lines.lua
-- include: lib/missed.lua
-- Goes on through the log and lists what an endpoint has missed, whether it wants it or not.
-- KEYS: 1 the log: event id -> serial, 2 what the endpoint was ever owed: event id -> serial, 3 the outbox: the same
-- ARGV: 1 endpoint, 2 serial after which to begin, 3 serial of the last event, 4 first and 5 last ms of commit,
--       6 how many events to examine, 7 how many deliveries may wait: whether there are more is all that is asked
-- Returns: {serial up to which the log was examined, how many events of that time there were, how many
--          deliveries wait for nothing but the receiver, per missed event: id, type, routing as JSON}
local endpoint, last, limit = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[6])

-- Counts what goes out as soon as the receiver takes it: neither what waits for its next attempt, which may be a
-- day away, nor what stands in line behind that.
local function count_waiting(most)
  local due, now = 'sn:due:' .. endpoint, now_ms()
  local count = redis.call('ZCOUNT', due, '-inf', now)
  if count > most or redis.call('EXISTS', 'sn:lines:' .. endpoint) == 0 then return count end
  for _, heads in ipairs({
    redis.call('ZRANGEBYSCORE', due, '-inf', now), redis.call('ZRANGE', 'sn:leased:' .. endpoint, 0, -1),
  }) do
    for _, event in ipairs(heads) do
      local space = redis.call('HGET', 'sn:lines:' .. endpoint, event)
      if space then count = count + redis.call('ZCARD', line_key(endpoint, space)) - 1 end
    end
  end
  return count
end

local rows = redis.call('ZRANGE', KEYS[1], '(' .. ARGV[2], last, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
local position = #rows < 2 * limit and last or tonumber(rows[#rows])

-- What was never owed and does not wait in the outbox is missed: two ranges tell it of all the events at once.
local known = {}
for i = 2, 3 do
  for _, event in ipairs(redis.call('ZRANGE', KEYS[i], '(' .. ARGV[2], position, 'BYSCORE')) do known[event] = true end
end

local seen, missed = 0, {}
for i = 1, #rows, 2 do
  local event = rows[i]
  local logged = redis.call('HMGET', 'sn:event:' .. event, 'type', 'routing', 'at')
  local at = tonumber(logged[3] or 0)
  if at >= tonumber(ARGV[4]) and at <= tonumber(ARGV[5]) then
    seen = seen + 1
    if not known[event] or is_missed(endpoint, event) then
      missed[#missed + 1], missed[#missed + 2], missed[#missed + 3] = event, logged[1], logged[2]
    end
  end
end
return {position, seen, count_waiting(tonumber(ARGV[7])), missed}
