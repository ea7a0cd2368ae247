#!lua flags=no-writes
-- Reads Spaces with all that is filed of them elsewhere.
-- KEYS: 1 spaces
-- ARGV: the Space ids
-- Returns: per Space: {id, state as JSON, version, phase, ms until it expires (-1 = never, -2 = there is no record),
--          serial of first sight, the phases under which it is indexed, the parts of the schedule in which its poll
--          stands, when it is polled in ms, its reminder and its erasure in ms, the watches as id, JSON and
--          whether they list the Space (1/0), its events' sequences}, '' for none
local answer = {}
for _, id in ipairs(ARGV) do
  local key = space_key(id)
  local record = redis.call('HMGET', key, 'doc', 'version', 'phase')
  local phases, parts, poll, watches, sequences = {}, {}, '', {}, {}
  for _, phase in ipairs(PHASES) do
    if redis.call('ZSCORE', spaces_in_key(phase), id) then phases[#phases + 1] = phase end
  end
  for _, part in ipairs(POLL_PARTS) do
    local at = redis.call('ZSCORE', polls_key('lookup', part), id)
    if at then parts[#parts + 1], poll = part, at end
  end
  for _, watch in ipairs(redis.call('SMEMBERS', space_watches_key(id))) do
    watches[#watches + 1] = {
      watch, redis.call('GET', watch_key(watch)) or '',
      redis.call('ZSCORE', watch_spaces_key(watch), id) and 1 or 0,
    }
  end
  local events = redis.call('ZRANGE', space_events_key(id), 0, -1, 'WITHSCORES')
  for i = 2, #events, 2 do sequences[#sequences + 1] = tonumber(events[i]) end
  answer[#answer + 1] = {
    id, record[1] or '', record[2] or '', record[3] or '', redis.call('PTTL', key),
    redis.call('ZSCORE', KEYS[1], id) or '', phases, parts, poll,
    redis.call('ZSCORE', timers_key('reminder'), id) or '', redis.call('ZSCORE', timers_key('erasure'), id) or '',
    watches, sequences,
  }
end
return answer
