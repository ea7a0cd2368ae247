-- Taking over what a batch of outcomes says of the pace that a receiver allows. Included ahead of a script by its
-- "-- include:" line, after lib/state.lua, lib/taken.lua and lib/pace.lua.

-- Raises the learned pace after a number of successes.
local function raise(view, pace, taken, set, law)
  local concurrency = view.concurrency + taken
  if pace and pace.most then
    concurrency = raised(view.concurrency, pace.most, taken, pace.calm, pace.crowded and 0 or law.near, law)
  end
  concurrency = math.min(concurrency, math.max(view.max_concurrency, view.concurrency))
  if concurrency ~= view.concurrency then set('concurrency', concurrency) end
  if not (pace and pace.rate) then return end
  pace.rate = pace.ceiling and raised(pace.rate, pace.ceiling, taken, pace.calm, law.near, law)
    or pace.rate * law.start ^ math.min(taken, 20)
  if pace.rate > law.fastest then pace.rate, pace.ceiling = nil, nil end
end

-- seen: delivered (how many were taken), refused (how many asked for a slower pace), asked (the longest pause in
--       ms, 0 = none named), and when in ms the latest of either began and the first that was taken (taken_began,
--       refused_began, first_began)
-- set: takes a field of the endpoint's state and its new value
local function note_pace(endpoint, view, seen, set, now, law)
  local taken, pace = seen.delivered or 0, view.pace
  if not pace and seen.refused == 0 and not is_count_old(view, now, law) then
    -- As nearly all are: well, and without a limit that is known.
    if taken > 0 and view.concurrency < view.max_concurrency then
      set('concurrency', math.min(view.concurrency + taken, view.max_concurrency))
    end
    return
  end
  local counted = read_state(endpoint, 'delivered', 'passed_from')
  local total = tonumber(counted[1] or 0)
  view.passed_from = tonumber(counted[2] or 0)
  if pace and not pace.refusing and now - pace.cut_at > law.forget then pace = nil end
  if taken > 0 then
    if not (pace and pace.refusing) then count_from(view, seen, taken, total, set, now, law) end
    view.success_at = now
    if pace and pace.refusing and seen.taken_began > pace.cut_at then
      resume(view, pace, total - taken - view.passed_from, now, law)
      set('passed_since', now)
      set('passed_from', total)
    end
    if not (pace and pace.refusing) then raise(view, pace, taken, set, law) end
  end
  if seen.refused > 0 then
    pace = pace or {calm = law.calm}
    cut(view, pace, total - view.passed_from, seen.refused_began, now, law)
    set('concurrency', view.concurrency)
    if seen.asked > 0 then pace.asked_until = math.max(pace.asked_until or 0, now + seen.asked) end
    local share = seen.asked > 0 and law.asked_share or law.unasked_share
    local waited = math.min((now - (pace.refusing or now)) * share, law.longest_pause)
    set('resume_at', math.max(view.resume_at, now + math.max(seen.asked > 0 and seen.asked or law.pause, waited)))
  end
  if not pace and not view.pace then return end
  if pace and pace.rate then
    local most = view.interval > 0 and 1000 / view.interval or law.fastest
    pace.rate = math.min(math.max(pace.rate, law.slowest), most)
  end
  set('pace', pace and cjson.encode(pace) or '')
  view.pace = pace
end
