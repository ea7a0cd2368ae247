-- What the scripts of the delivery queue share. Included ahead of a script by its "-- include:" line.

local function now_ms()
  -- The server's clock, so that a worker whose clock is off neither sends early nor steals a lease.
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function head(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

local function delivery_key(endpoint, event)
  return 'sn:delivery:dlv_' .. string.sub(event, 5) .. string.sub(endpoint, 4)
end
