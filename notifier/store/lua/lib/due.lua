-- Making many deliveries due at once. Included ahead of a script by its "-- include:" line.

-- Adds an event to the queue that stands at a place.
local function add(queues, place, score, event)
  local queue = queues[place] or {}
  queues[place] = queue
  queue[#queue + 1] = score
  queue[#queue + 1] = event
end

-- Puts events into the due queues of endpoints and has their partitions served.
-- endpoints: each {id, partition, …}; due: place in that list -> {score, event, …}, the first score being the least
-- Returns the partitions that now have work and no wakeup on its way.
local function make_due(endpoints, due)
  local partitions, wakeups = {}, {}
  for place, queue in pairs(due) do
    local endpoint, partition = endpoints[place][1], endpoints[place][2]
    redis.call('ZADD', 'sn:due:' .. endpoint, unpack(queue))
    -- An endpoint that waits for its turn already keeps it. One that may get nothing now (disabled, busy, slowed down)
    -- comes up all the same, and the claim files it where it belongs: rare, and cheaper than asking here.
    redis.call('ZADD', 'sn:ready:' .. partition, 'LT', queue[1], endpoint)
    partitions[partition] = true
  end
  for partition in pairs(partitions) do
    if redis.call('SET', 'sn:wakeup:deliver:' .. partition, 1, 'NX', 'PX', 5000) then
      wakeups[#wakeups + 1] = partition
    end
  end
  return wakeups
end
