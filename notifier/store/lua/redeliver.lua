#!lua
-- include: lib/time.lua
-- include: lib/queue.lua
-- include: lib/record.lua
-- include: lib/state.lua
-- include: lib/filing.lua
-- include: lib/lines.lua
-- Makes a delivery due at once, however it ended before, with the whole retry schedule ahead of it. Where the
-- breaker is open, or the receiver has asked for a slower pace, it is the next probe, which need not wait for
-- longer than the receiver itself has asked.
-- KEYS: 1 ready
-- ARGV: 1 endpoint, 2 event, 3 its Space ('' = none), 4 its sequence, 5 TTL of the record in s
-- Returns: 1; 0 when the endpoint is gone; 2 when an attempt is in flight
local endpoint, event, space = ARGV[1], ARGV[2], ARGV[3]
if not is_here(endpoint) then return 0 end
if redis.call('ZSCORE', leased_key(endpoint), event) then return 2 end
reopen(endpoint, event, ARGV[5])
local ordered = read_state(endpoint, 'ordered')[1] == '1' and space ~= ''
local due, now, view = due_key(endpoint), now_ms(), view_of(endpoint)
local at = now
if view.open_until > 0 then
  -- The probe is whatever is due first.
  at = math.min(now, (head(due) or now) - 1)
  if view.resume_at <= view.open_until then
    -- The breaker stays open, as though its wait were over.
    set_state(endpoint, 'open_until', math.min(view.open_until, now), 'resume_at', 0)
  end
elseif view.pace and view.pace.refusing then
  at = math.min(now, (head(due) or now) - 1)
  set_state(endpoint, 'resume_at', math.min(view.resume_at, view.pace.asked_until or 0))
end
if not ordered or join_line(endpoint, space, ARGV[4], event) then redis.call('ZADD', due, at, event) end
file_endpoint(KEYS[1], endpoint, 0)
return 1
