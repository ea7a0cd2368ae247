-- How a recovery ends. Included ahead of a script by its "-- include:" line.

local function end_recovery(id, status, reason, now)
  redis.call('HSET', 'sn:recovery:' .. id, 'status', status, 'reason', reason, 'updated_at', now, 'finished_at', now)
  redis.call('ZREM', 'sn:recovering', id)
end
