-- Counts what an answer of X costs: each resource once in a UTC day.
-- KEYS: 1 billed:<day>, 2 spent:<day>
-- ARGV: 1 hour, 2 TTL in s, 3 how many Spaces, then the ids of the Spaces, then those of the users
-- Returns: how many Spaces and how many users were not billed before
local new = {0, 0}
for i = 4, #ARGV do
  local kind = i < 4 + tonumber(ARGV[3]) and 1 or 2
  new[kind] = new[kind] + redis.call('SADD', KEYS[1], (kind == 1 and 's:' or 'u:') .. ARGV[i])
end
redis.call('HINCRBY', KEYS[2], 'spaces:' .. ARGV[1], new[1])
redis.call('HINCRBY', KEYS[2], 'users:' .. ARGV[1], new[2])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return new
