-- Takes over what X's headers say of a rate bucket; of two answers in one window the lower count is the later.
-- KEYS: 1 bucket:<call>
-- ARGV: 1 limit, 2 remaining, 3 reset in ms
-- Returns: what is left
local reset = tonumber(redis.call('HGET', KEYS[1], 'reset') or 0)
local remaining = tonumber(redis.call('HGET', KEYS[1], 'remaining') or ARGV[2])
if tonumber(ARGV[3]) < reset then return remaining end
if tonumber(ARGV[3]) > reset or tonumber(ARGV[2]) < remaining then remaining = tonumber(ARGV[2]) end
redis.call('HSET', KEYS[1], 'limit', ARGV[1], 'remaining', remaining, 'reset', ARGV[3])
redis.call('EXPIRE', KEYS[1], 3600)
return remaining
