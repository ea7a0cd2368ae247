-- Where an endpoint is filed. Included ahead of a script by its "-- include:" line, after lib/state.lua.

-- Files an endpoint in its partition under the next moment at which there is something to do for it:
-- its first due delivery, not before it may be sent to again, or the end of its first lease. The partition is
-- served in this order, so a backlog must not carry its age into it: an endpoint that is filed again because something
-- has happened to it gives not_before, and stands behind those who wait already.
local function file_under(ready, endpoint, view, not_before)
  local at = nil
  if not view.paused and view.busy < most_of(view) then
    at = head(due_key(endpoint))
    if at then at = math.max(at, view.resume_at, view.rate_at + spacing_of(view), not_before) end
  end
  if view.lease_end and (not at or view.lease_end < at) then at = view.lease_end end
  if at then
    redis.call('ZADD', ready, at, endpoint)
  else
    redis.call('ZREM', ready, endpoint)
  end
end

local function file_endpoint(ready, endpoint, not_before)
  file_under(ready, endpoint, view_of(endpoint), not_before)
end
