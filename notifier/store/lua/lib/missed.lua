-- What an endpoint has missed. Included ahead of a script by its "-- include:" line, after lib/record.lua.

-- Whether an event has neither reached an endpoint nor is on its way there.
local function is_missed(endpoint, event)
  if status_of(endpoint, event) == 'delivered' then return false end
  return not (redis.call('ZSCORE', due_key(endpoint), event)
    or redis.call('ZSCORE', leased_key(endpoint), event)
    or redis.call('HGET', lines_key(endpoint), event))
end
