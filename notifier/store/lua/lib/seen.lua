-- What a batch of outcomes says of one endpoint. Included ahead of a script by its "-- include:" line.

-- Returns a record of no outcome: how many deliveries were settled or are due again, and for lib/breaker.lua and
-- lib/pacing.lua what their heads name; times in ms.
local function nothing_seen()
  return {
    failed = 0, in_a_row = 0, pause = 0, settled = {}, again = {},
    refused = 0, asked = 0, refused_began = 0, taken_began = 0, first_began = math.huge,
  }
end

-- Adds an outcome, in the order in which the attempts ended.
-- succeeded: true, false or null; paced: whether it asked for a slower pace; began: when the attempt did
local function see(seen, succeeded, paced, pause, reason, began)
  if succeeded == true then
    seen.succeeded, seen.alive, seen.in_a_row = true, true, 0
    if began > seen.taken_began then seen.taken_began = began end
    if began < seen.first_began then seen.first_began = began end
  elseif succeeded == false then
    seen.failed, seen.in_a_row, seen.reason = seen.failed + 1, seen.in_a_row + 1, reason
  end
  if paced then
    seen.refused, seen.alive, seen.in_a_row = seen.refused + 1, true, 0
    seen.refused_began, seen.asked = math.max(seen.refused_began, began), math.max(seen.asked, pause)
  elseif pause > seen.pause then
    seen.pause = pause
  end
end
