-- How a recovery ends. Included ahead of a script by its "-- include:" line.

-- Returns the status.
local function end_recovery(id, status, reason, now)
  redis.call('HSET', recovery_key(id), 'status', status, 'reason', reason, 'updated_at', now, 'finished_at', now)
  redis.call('ZREM', recovering_key, id)
  return status
end
