#!lua flags=no-writes
-- include: lib/time.lua
-- include: lib/record.lua
-- include: lib/missed.lua
-- Finds what an endpoint has missed of a stretch of the log, all of it dispatched.
-- KEYS: 1 history:<endpoint>
-- ARGV: 1 endpoint, 2 serial after which the stretch begins, 3 serial of its end, 4 how many deliveries may wait:
--       whether there are more is all that is asked, then the events
-- Returns: {how many deliveries wait for nothing but the receiver, the events that are missed}
local endpoint = ARGV[1]

-- Counts what goes out as soon as the receiver takes it: neither what waits for its next attempt, which may be a
-- day away, nor what waits in line behind that.
local function count_waiting(most)
  local due, now = due_key(endpoint), now_ms()
  local count = redis.call('ZCOUNT', due, '-inf', now)
  if count > most or redis.call('EXISTS', lines_key(endpoint)) == 0 then return count end
  for _, heads in ipairs({
    redis.call('ZRANGEBYSCORE', due, '-inf', now), redis.call('ZRANGE', leased_key(endpoint), 0, -1),
  }) do
    for _, event in ipairs(heads) do
      local space = redis.call('HGET', lines_key(endpoint), event)
      if space then count = count + redis.call('ZCARD', line_key(endpoint, space)) - 1 end
    end
  end
  return count
end

-- What was never owed is missed: one range says so of all the events at once.
local known, missed = {}, {}
for _, event in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. ARGV[2], ARGV[3], 'BYSCORE')) do known[event] = true end
for i = 5, #ARGV do
  if not known[ARGV[i]] or is_missed(endpoint, ARGV[i]) then missed[#missed + 1] = ARGV[i] end
end
return {count_waiting(tonumber(ARGV[4])), missed}
