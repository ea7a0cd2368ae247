#!lua flags=no-writes
-- Reads events with all that the indexes of the log say of them.
-- KEYS: 1 events
-- ARGV: the event ids
-- Returns: per event that is kept: {id, type, body, routing as JSON, Space, sequence, serial, ms of commit, its
--          serials in the log and in the index of its type, its sequence in the index of its Space}, '' for none
local answer = {}
for _, id in ipairs(ARGV) do
  local event = redis.call('HMGET', event_key(id), 'type', 'body', 'routing', 'space', 'sequence', 'serial', 'at')
  if redis.call('EXISTS', event_key(id)) == 1 then
    local row = {id}
    for i = 1, 7 do row[1 + i] = event[i] or '' end
    row[9] = redis.call('ZSCORE', KEYS[1], id) or ''
    row[10] = redis.call('ZSCORE', events_of_type_key(row[2]), id) or ''
    row[11] = redis.call('ZSCORE', space_events_key(row[5]), id) or ''
    answer[#answer + 1] = row
  end
end
return answer
