#!lua flags=no-writes
-- Reads what it takes to send events.
-- KEYS: the events
-- ARGV: none
-- Returns: per event: its body and when it was committed in ms; '' and 0 if it no longer exists
local answer = {}
for i, key in ipairs(KEYS) do
  local logged = redis.call('HMGET', key, 'body', 'at')
  answer[2 * i - 1], answer[2 * i] = logged[1] or '', tonumber(logged[2] or 0)
end
return answer
