-- The count of deliveries that a receiver took lately, from which its rate follows. Included ahead of a script by its
-- "-- include:" line, after lib/state.lua.

-- Says whether it is time to move the beginning of the count.
local function is_count_old(view, now, law)
  return now - view.success_at > law.idle or now - view.passed_since > law.memory
end

-- Keeps where the count of deliveries that were taken began, so that it covers no idle time and not too much.
local function count_from(view, seen, taken, total, set, now, law)
  local idle = math.max(law.idle, view.pace and view.pace.rate and 3000 / view.pace.rate or 0)
  local counted = now - view.passed_since
  if now - view.success_at > idle then
    set('passed_since', math.min(now, seen.first_began))
    set('passed_from', total - taken)
  elseif counted > law.memory then
    set('passed_from', total - (total - view.passed_from) * law.memory / 2 / counted)
    set('passed_since', now - law.memory / 2)
  end
end
