-- The record of a delivery that was attempted: the only file that knows its fields (store/deliveries.py reads them,
-- too). Included ahead of a script by its "-- include:" line.

-- Returns the key; the id of a delivery is made of those of its event and its endpoint.
local function record_key_of(endpoint, event)
  return delivery_key('dlv_' .. string.sub(event, 5) .. string.sub(endpoint, 4))
end

local function status_of(endpoint, event) return redis.call('HGET', record_key_of(endpoint, event), 'status') end

-- Returns how many attempts were made, how many before the schedule began again, and whether it was by hand (1/0).
local function attempts_of(endpoint, event)
  local record = redis.call('HMGET', record_key_of(endpoint, event), 'attempts', 'base', 'manual')
  return tonumber(record[1] or 0), tonumber(record[2] or 0), tonumber(record[3] or 0)
end

local function has_attempt(endpoint, event, id)
  return redis.call('HEXISTS', record_key_of(endpoint, event), id) == 1
end

-- Records an attempt, given as its id and its text, and where the delivery stands after it.
-- settled_at: '' for one that is still pending; base: nil leaves it as it is
local function record_attempt(endpoint, event, ttl, id, attempt, status, made, reason, settled_at, base)
  local key = record_key_of(endpoint, event)
  redis.call('HSET', key, 'status', status, 'attempts', made, 'reason', reason, 'manual', 0,
    'settled_at', settled_at, id, attempt)
  redis.call('EXPIRE', key, ttl)
  if base then redis.call('HSET', key, 'base', base) end
end

-- Makes a delivery pending again, with the whole schedule ahead of it.
local function reopen(endpoint, event, ttl)
  local key = record_key_of(endpoint, event)
  local before = redis.call('HMGET', key, 'status', 'attempts')
  redis.call('HSET', key, 'status', 'pending', 'manual', 1, 'base', before[2] or 0)
  redis.call('HDEL', key, 'settled_at')
  -- Why it failed the last time is still true; that the receiver has it is no reason to be pending.
  if before[1] == 'delivered' then redis.call('HDEL', key, 'reason') end
  redis.call('EXPIRE', key, ttl)
end
