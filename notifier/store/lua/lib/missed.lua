-- What an endpoint has missed. Included ahead of a script by its "-- include:" line, after lib/queue.lua.

-- Whether an event has neither reached an endpoint nor is on its way there.
local function is_missed(endpoint, event)
  if redis.call('HGET', delivery_key(endpoint, event), 'status') == 'delivered' then return false end
  return not (redis.call('ZSCORE', 'sn:due:' .. endpoint, event)
    or redis.call('ZSCORE', 'sn:leased:' .. endpoint, event)
    or redis.call('ZSCORE', 'sn:outbox', event)
    or redis.call('HGET', 'sn:lines:' .. endpoint, event))
end
