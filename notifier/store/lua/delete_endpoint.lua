-- Deletes an endpoint and its queue; what it was owed stays on record as discarded until it expires.
-- KEYS: 1 endpoint:<id>, 2 run:<id>, 3 ready:<partition>, 4 due:<id>, 5 leased:<id>, 6 owes:<id>, 7 lines:<id>,
--       8 memories:<id>, 9 memory-ends:<id>
-- ARGV: 1 id, 2 TTL of the record of what it was owed in s
-- Returns: 1, or 0 when there is no such endpoint
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
for _, space in ipairs(redis.call('HVALS', KEYS[7])) do redis.call('DEL', 'sn:line:' .. ARGV[1] .. ':' .. space) end
redis.call('DEL', KEYS[2], KEYS[4], KEYS[5], KEYS[7], KEYS[8], KEYS[9])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', 'sn:endpoints', ARGV[1])
redis.call('ZREM', 'sn:challenges', ARGV[1])
redis.call('INCR', 'sn:endpoints:generation')
redis.call('EXPIRE', KEYS[6], ARGV[2])
return 1
