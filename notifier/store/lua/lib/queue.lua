-- What the scripts of the delivery queue share. Included ahead of a script by its "-- include:" line.

local function head(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

-- The record of the delivery of an event to an endpoint; the ids of both make its own.
local function record_key_of(endpoint, event)
  return delivery_key('dlv_' .. string.sub(event, 5) .. string.sub(endpoint, 4))
end
