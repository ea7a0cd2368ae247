#!lua
-- Counts what an answer of X costs, each resource once in a UTC day, and releases what was held for it.
-- KEYS: 1 billed:<day>, 2 spent:<day>, 3 held
-- ARGV: 1 hour, 2 TTL in s, 3 the hold ('' = none), 4 whether the Spaces came with their people (1/0),
--       5 how many Spaces, then the ids of the Spaces, then those of the users
-- Returns: how many Spaces and how many users were not billed before
redis.call('ZREM', KEYS[3], ARGV[3])
local new = {0, 0}
for i = 6, #ARGV do
  local kind = i < 6 + tonumber(ARGV[5]) and 1 or 2
  new[kind] = new[kind] + redis.call('SADD', KEYS[1], (kind == 1 and 's:' or 'u:') .. ARGV[i])
  if kind == 1 and ARGV[4] == '1' then redis.call('SADD', KEYS[1], 'p:' .. ARGV[i]) end
end
if #ARGV > 5 then
  redis.call('HINCRBY', KEYS[2], 'spaces:' .. ARGV[1], new[1])
  redis.call('HINCRBY', KEYS[2], 'users:' .. ARGV[1], new[2])
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
return new
