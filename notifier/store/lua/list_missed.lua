-- include: lib/queue.lua
-- include: lib/missed.lua
-- Goes on through the log and lists what an endpoint has missed, whether it wants it or not.
-- KEYS: 1 the log: event id -> serial, 2 what the endpoint was ever owed: event id -> serial, 3 the outbox: the same
-- ARGV: 1 endpoint, 2 serial after which to begin, 3 serial of the last event, 4 first and 5 last ms of commit,
--       6 how many events to look at
-- Returns: {serial up to which the log was looked at, how many events of that time there were, how many
--          deliveries the endpoint has waiting, per missed event: id, type, routing as JSON}
local endpoint, last, limit = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[6])
local rows = redis.call('ZRANGE', KEYS[1], '(' .. ARGV[2], last, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
local waiting = redis.call('ZCARD', 'sn:due:' .. endpoint) + redis.call('HLEN', 'sn:lines:' .. endpoint)
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
return {position, seen, waiting, missed}
