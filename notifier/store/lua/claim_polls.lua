#!lua
-- Claims polls under a lease, so that a worker that dies leaves them due again.
-- KEYS: 1 polls:<call>:urgent, 2 polls:<call>:patient, 3 polls:<call>:leased
-- ARGV: 1 lease end in ms, then the subjects
-- Returns: the subjects that were still to be had
local claimed = {}
for i = 2, #ARGV do
  if redis.call('ZREM', KEYS[1], ARGV[i]) + redis.call('ZREM', KEYS[2], ARGV[i]) > 0 then
    redis.call('ZADD', KEYS[3], ARGV[1], ARGV[i])
    claimed[#claimed + 1] = ARGV[i]
  end
end
return claimed
