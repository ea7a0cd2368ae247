-- What the scripts of the delivery queue share. Included ahead of a script by its "-- include:" line.

local function head(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end
