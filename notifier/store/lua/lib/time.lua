-- The server's clock, in ms, so that a worker whose clock is off neither sends early nor steals a lease. Included
-- ahead of a script by its "-- include:" line.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
