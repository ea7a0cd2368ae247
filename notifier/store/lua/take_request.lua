-- Takes one request out of a rate bucket of X's, or says how long to wait.
-- The bucket is what X's headers said last, less what was taken since; a tenth is kept back for others who
-- use the same credentials. An unknown bucket is open: the first answer will describe it.
-- KEYS: 1 bucket:<call>
-- ARGV: 1 now in ms, 2 share kept back, 3 least ms between two requests
-- Returns: 0, or how many ms to wait
local now = tonumber(ARGV[1])
local bucket = redis.call('HMGET', KEYS[1], 'limit', 'remaining', 'reset', 'next_at')
local next_at = tonumber(bucket[4] or 0)
if next_at > now then return next_at - now end
local limit, remaining, reset = tonumber(bucket[1] or 0), tonumber(bucket[2] or 0), tonumber(bucket[3] or 0)
if limit > 0 and reset > now then
  if remaining <= limit * tonumber(ARGV[2]) then return reset - now end
  redis.call('HINCRBY', KEYS[1], 'remaining', -1)
end
redis.call('HSET', KEYS[1], 'next_at', now + tonumber(ARGV[3]))
redis.call('EXPIRE', KEYS[1], 3600)
return 0
