-- Claiming what is due. Included ahead of a script by its "-- include:" line, after lib/queue.lua, lib/record.lua,
-- lib/lines.lua, lib/memory.lua and lib/lease.lua.

-- Claims due deliveries of a partition up to a limit; the endpoints take turns.
-- Returns claims, each {endpoint, event, attempts made, attempts before the last redeliver, manual (1/0)} and, where
-- the endpoint's kind has a memory, {…, Space, memory, last event that waits behind it} (lib/memory.lua).
local function claim(ready, views, wanted, lease_end, now)
  local waiting = redis.call('ZRANGEBYSCORE', ready, '-inf', now, 'LIMIT', 0, wanted)
  local share = math.max(1, math.ceil(wanted / math.max(#waiting, 1)))
  local claims = {}
  for _, endpoint in ipairs(waiting) do
    local view = views[endpoint] or view_of(endpoint)
    if view.lease_end and view.lease_end <= now then
      take_back(endpoint, now)
      view = view_of(endpoint)
    end
    local taken = lease(endpoint, view, now, math.min(share, wanted - #claims), lease_end)
    for _, event in ipairs(taken) do
      local entry = {endpoint, event, attempts_of(endpoint, event)}
      if view.remembers then entry[6], entry[7], entry[8] = recall(endpoint, event) end
      claims[#claims + 1] = entry
    end
    -- An endpoint that was served goes to the end of the line; one that was not keeps its place.
    file_under(ready, endpoint, view, #taken > 0 and now or tonumber(redis.call('ZSCORE', ready, endpoint)))
  end
  return claims
end
