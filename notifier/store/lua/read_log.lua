#!lua flags=no-writes
-- Goes on through the log.
-- KEYS: 1 events
-- ARGV: 1 serial after which to begin, 2 serial of the last event, 3 how many events to read
-- Returns: {serial up to which the log was read, then per event that is kept: {id, serial, type, routing as JSON, ms
--          of commit, Space, sequence, whether it is yet to be dispatched (1/0)}}
local last, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local rows = redis.call('ZRANGE', KEYS[1], '(' .. ARGV[1], last, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
local position = #rows < 2 * limit and last or tonumber(rows[#rows])
local waiting, answer = {}, {position}
for _, event in ipairs(redis.call('ZRANGE', outbox_key, '(' .. ARGV[1], position, 'BYSCORE')) do
  waiting[event] = true
end
for i = 1, #rows, 2 do
  local logged = redis.call('HMGET', event_key(rows[i]), 'type', 'routing', 'at', 'space', 'sequence')
  if logged[1] then
    answer[#answer + 1] = {
      rows[i], rows[i + 1], logged[1], logged[2], logged[3], logged[4] or '', logged[5] or '',
      waiting[rows[i]] and 1 or 0,
    }
  end
end
return answer
