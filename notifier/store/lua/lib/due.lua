-- Making many deliveries of a partition due at once. Included ahead of a script by its "-- include:" line, after
-- lib/wakeup.lua.

-- Adds an event to the queue at a place.
local function add(queues, place, score, event)
  local queue = queues[place] or {}
  queues[place] = queue
  queue[#queue + 1] = score
  queue[#queue + 1] = event
end

-- Puts events into the due queues of endpoints.
-- endpoints: their ids; due: place in that list -> {score, event, …}, the first score being the least
-- Returns whether the partition now has work and no wakeup on its way.
local function make_due(endpoints, due)
  local has_work = false
  for place, queue in pairs(due) do
    redis.call('ZADD', due_key(endpoints[place]), unpack(queue))
    -- An endpoint that waits for its turn already keeps it. One that may get nothing now (disabled, busy, slowed down)
    -- comes up all the same, and the claim files it where it belongs: rare, and cheaper than asking here.
    redis.call('ZADD', ready_key, 'LT', queue[1], endpoints[place])
    has_work = true
  end
  return has_work and needs_wakeup(partition_wakeup_key)
end
