-- Wakeups: at most one on its way for each job. Included ahead of a script by its "-- include:" line.

-- Says whether a wakeup has to be sent, and notes that it will be.
local function needs_wakeup(key)
  return redis.call('SET', key, 1, 'NX', 'PX', WAKEUP_MS) and true or false
end
